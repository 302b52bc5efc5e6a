"""Folders in the layout of EuRoC MAV (ASL), which TUM-VI shares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.config.plain_yaml import load_plain_yaml
from e2e_slam_ros.data.camera_file import lens_of_mapping
from e2e_slam_ros.data.clock_check import clocks_sentence
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import note_unsynchronised
from e2e_slam_ros.data.layout import Wanted, layout_calibration, missing_part
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import Matrix, inverted, poses_at, rigid
from e2e_slam_ros.data.text_list import listed_file, read_list, read_text
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.geometry.lens_model import LensModel

# Where the poses of the body are, the best first.
_TRUTHS = ("state_groundtruth_estimate0", "gt", "mocap0", "vicon0")


class EurocReader(LayoutSequence):
    r"""A EuRoC or TUM-VI folder: ``mav0/cam0/data.csv``, ``sensor.yaml`` and a ground truth.

    Poses of the ground truth are those of the body, or of a sensor with ``T_BS`` in its
    ``sensor.yaml``. They become poses of the camera: ``T_map_camera = T_map_sensor
    T_BS(sensor)^-1 T_BS(camera)``. TUM-VI has its calibration in Kalibr's ``camchain.yaml``,
    whose ``T_cam_imu`` is the inverse of the camera's ``T_BS``. There is no depth.

    Args:
        folder: the sequence, or its ``mav0``.
        wanted: options; ``image_topic`` chooses a camera ("cam1").

    Raises:
        DataError: not such a folder, no image, or no calibration.

    >>> import tempfile
    >>> from PIL import Image
    >>> yaml_text = "resolution: [8, 6]\nintrinsics: [8, 8, 3.5, 2.5]\ncamera_model: pinhole\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     camera = Path(folder) / "mav0" / "cam0"
    ...     (camera / "data").mkdir(parents=True)
    ...     Image.new("L", (8, 6)).save(camera / "data" / "1403636579763555584.png")
    ...     _ = (camera / "sensor.yaml").write_text(yaml_text)
    ...     stamped = "1403636579763555584,1403636579763555584.png"
    ...     _ = (camera / "data.csv").write_text(f"#timestamp [ns],filename\n{stamped}\n")
    ...     EurocReader(Path(folder))[0].stamp_ns
    1403636579763555584
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        root = _root(folder)
        name = wanted.options.image_topic.strip("/") or "cam0"
        camera = root / name
        if not (camera / "data.csv").is_file():
            there = ", ".join(sorted(p.parent.name for p in root.glob("cam*/data.csv")))
            raise missing_part(
                folder,
                f"no {name}/data.csv",
                f"one of the cameras {there or '(there is none)'}",
                f"name one with {option('image_topic', 'cam0')}",
            )
        files = _images(camera, report)
        sensor = _sensor(root, camera)
        calibration = layout_calibration(
            wanted, lambda: _lens(sensor, camera), 1000.0, f"{name} of {root}", files[0][1], report
        )
        poses = _poses(root, files, _body_camera(sensor, name, report), wanted, report)
        report.note("this layout has no depth")
        entries = [
            FrameFiles(stamp, path, None, pose)
            for (stamp, path), pose in zip(files, poses, strict=True)
        ]
        outer = folder if root == folder / "mav0" else folder.parent
        super().__init__(outer.resolve().name, entries, calibration, report, wanted)


def is_euroc_folder(path: Path) -> bool:
    """Return whether a folder, or its ``mav0``, has cameras with a ``data.csv``."""
    return path.is_dir() and any(_root(path).glob("cam*/data.csv"))


def _root(folder: Path) -> Path:
    return folder / "mav0" if (folder / "mav0").is_dir() else folder


def _images(camera: Path, report: ReaderReport) -> list[tuple[int, Path]]:
    entries = read_list(camera / "data.csv", 1, report)
    report.listed = len(entries)
    found = [(e.stamp_ns, listed_file(camera / "data", e.words[0])) for e in entries]
    existing = [(stamp, path) for stamp, path in found if path is not None]
    if len(existing) < len(entries):
        report.skip("missing colour image", len(entries) - len(existing))
    if not existing:
        raise missing_part(
            camera,
            f"{len(entries)} entries in data.csv, and none of their images in data/",
            "lines 'stamp [ns],file name' of files in data/",
            "extract the archive again",
        )
    return existing


def _mapping(path: Path) -> Mapping[str, Any]:
    """Return a YAML file's keys. The first line of OpenCV's files is not YAML."""
    try:
        text = read_text(path)
        head, _, rest = text.partition("\n")
        content = load_plain_yaml(rest if head.startswith("%YAML") else text)
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise DataError.from_parts(
            f"calibration {path}", problem, "YAML", "extract it again"
        ) from problem
    return content if isinstance(content, dict) else {}


def _sensor(root: Path, camera: Path) -> Mapping[str, Any]:
    """Return the camera's ``sensor.yaml``, or its part of TUM-VI's ``camchain.yaml``."""
    if (camera / "sensor.yaml").is_file():
        return _mapping(camera / "sensor.yaml")
    places = (root, root.parent, root.parent / "dso", root / "dso")
    for place in places:
        for path in sorted(place.glob("*camchain*.yaml")):
            found = _mapping(path).get(camera.name)
            if isinstance(found, dict):
                return found
    return {}


def _lens(sensor: Mapping[str, Any], camera: Path) -> LensModel:
    found = lens_of_mapping(sensor, f"calibration of {camera}")
    if found is None:
        raise missing_part(
            camera,
            "no sensor.yaml with intrinsics, and no camchain.yaml beside mav0",
            "the calibration of this camera",
            f"copy it there, or give {option('intrinsics', 'FILE')}",
        )
    return found


def _transform(content: Mapping[str, Any], key: str) -> Matrix | None:
    value = content.get(key)
    if isinstance(value, dict):
        value = value.get("data")
    try:
        return None if value is None else rigid(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None


def _body_camera(sensor: Mapping[str, Any], name: str, report: ReaderReport) -> Matrix | None:
    found = _transform(sensor, "T_BS")
    if found is not None:
        return found
    inverse = _transform(sensor, "T_cam_imu")
    if inverse is not None:
        return inverted(inverse)
    report.note(f"no T_BS or T_cam_imu of {name}: where the camera is on the body is not known")
    return None


def _poses(
    root: Path,
    files: list[tuple[int, Path]],
    T_body_camera: Matrix | None,
    wanted: Wanted,
    report: ReaderReport,
) -> list[Matrix | None]:
    folder = next((root / n for n in _TRUTHS if (root / n / "data.csv").is_file()), None)
    if folder is None:
        report.note(f"no {_TRUTHS[0]} or mocap0 with data.csv: the frames have no pose")
        return [None] * len(files)
    if T_body_camera is None and not wanted.options.pose_frame:
        report.note(f"not taken: {folder.name}; if it is the camera's: --pose-frame optical")
        return [None] * len(files)
    trajectory = read_tum_trajectory(folder / "data.csv", report)
    track = trajectory.track()
    # The ground truth's own sensor on the body: the identity where the file does not say.
    path = folder / "sensor.yaml"
    T_body_sensor = _transform(_mapping(path), "T_BS") if path.is_file() else None
    mount = np.eye(4) if T_body_sensor is None else inverted(T_body_sensor)
    T_sensor_camera = mount if T_body_camera is None else mount @ T_body_camera
    found = poses_at(track, (stamp for stamp, _ in files), T_sensor_camera, wanted.options)
    report.note(f"poses are those of {folder.name}, moved to the camera by T_BS")
    note_unsynchronised(folder.name, len(track), found, report)
    if all(pose is None for pose in found):
        stamps = trajectory.stamps_ns.tolist()
        if said := clocks_sentence("images", [stamp for stamp, _ in files], "poses", stamps):
            report.note(said)
    return found
