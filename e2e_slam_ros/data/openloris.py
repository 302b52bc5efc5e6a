"""Folders of OpenLORIS-Scene, with the colour and depth of its RealSense camera."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import note_unsynchronised
from e2e_slam_ros.data.layout import Wanted, layout_calibration, missing_part
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import Matrix, inverted, poses_at, rigid
from e2e_slam_ros.data.text_list import listed_file, read_list
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.geometry.lens_model import LensModel

_COLOUR, _DEPTH, _TRUTH = "color.txt", "aligned_depth.txt", "groundtruth.txt"
_SENSORS, _MOUNTS = "sensors.yaml", "trans_matrix.yaml"
_CAMERA, _BASE = "d400_color_optical_frame", "base_link"

Stamped = tuple[int, Path]


class OpenLorisReader(LayoutSequence):
    """An OpenLORIS sequence: ``color.txt``, ``aligned_depth.txt``, ``groundtruth.txt``.

    Poses are those of ``base_link``. ``trans_matrix.yaml`` moves them to the colour camera.
    ``sensors.yaml`` holds its intrinsics in the order fx, cx, fy, cy. Depth is in millimetres;
    ``depth/``, which is not aligned, is not used.

    Raises:
        DataError: not such a folder, or no calibration.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "color.txt").write_text("1.0 color/1.0.png")
    ...     try:
    ...         OpenLorisReader(Path(folder))
    ...     except Exception as refusal:
    ...         print("none of their images" in str(refusal))
    True
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        images = _listed(folder, _COLOUR, report)
        if not images:
            raise missing_part(
                folder, f"none of their images in the folder of {_COLOUR}", f"{_COLOUR}, color/"
            )
        report.listed = len(images)
        tolerance_ns = round(wanted.options.tolerance_s * 1e9)
        depths = _depths(folder, images, tolerance_ns, report)
        poses = _poses(folder, images, wanted, report)
        calibration = layout_calibration(
            wanted, lambda: _lens(folder), 1000.0, f"{_SENSORS}", images[0][1], report
        )
        files = [
            FrameFiles(stamp, path, depth, pose)
            for (stamp, path), depth, pose in zip(images, depths, poses, strict=True)
        ]
        super().__init__(folder.resolve().name, files, calibration, report, wanted)


def is_openloris_folder(path: Path) -> bool:
    """Return whether a folder is a sequence of OpenLORIS-Scene."""
    names = (_DEPTH, _SENSORS, _MOUNTS)
    return (path / _COLOUR).is_file() and any((path / name).is_file() for name in names)


def _listed(folder: Path, name: str, report: ReaderReport) -> list[Stamped]:
    if not (folder / name).is_file():
        return []
    entries = read_list(folder / name, 1, report)
    found = [(e.stamp_ns, listed_file(folder, e.words[0])) for e in entries]
    existing = [(stamp, path) for stamp, path in found if path is not None]
    if len(existing) < len(entries):
        report.skip(f"missing image of {name}", len(entries) - len(existing))
    return existing


def _stamps(entries: Sequence[Stamped]) -> npt.NDArray[np.int64]:
    return np.array([stamp for stamp, _ in entries], dtype=np.int64)


def _depths(
    folder: Path, images: Sequence[Stamped], tolerance_ns: int, report: ReaderReport
) -> list[Path | None]:
    listed = _listed(folder, _DEPTH, report)
    if not listed:
        why = (
            "depth.txt is not aligned to colour and is not used"
            if (folder / "depth.txt").is_file()
            else "the frames have no depth"
        )
        report.note(f"no {_DEPTH}: {why}")
        return [None] * len(images)
    pairs = associate(_stamps(images), _stamps(listed), tolerance_ns)
    found = [listed[j][1] if j >= 0 else None for j in pairs]
    note_unsynchronised(_DEPTH, len(listed), found, report)
    return found


def _poses(
    folder: Path,
    images: Sequence[Stamped],
    wanted: Wanted,
    report: ReaderReport,
) -> list[Matrix | None]:
    if not (folder / _TRUTH).is_file():
        report.note(f"no {_TRUTH}: the frames have no pose")
        return [None] * len(images)
    mount = mount_of(folder / _MOUNTS, _BASE, _CAMERA)
    if mount is None and not wanted.options.pose_frame:
        report.note(
            f"not taken: {_TRUTH}, poses of {_BASE}: no transform from {_BASE} to {_CAMERA} in "
            f"{_MOUNTS}; if they are the camera's: {option('pose_frame', 'optical')}"
        )
        return [None] * len(images)
    track = read_tum_trajectory(folder / _TRUTH, report).track()
    T_base_camera = np.eye(4) if mount is None else mount
    found = poses_at(track, (stamp for stamp, _ in images), T_base_camera, wanted.options)
    report.note(f"poses of {_BASE} are moved to {_CAMERA} by {_MOUNTS}")
    note_unsynchronised(_TRUTH, len(track), found, report)
    return found


def _lens(folder: Path) -> LensModel:
    path = folder / _SENSORS
    values, coefficients, size = np.zeros(0), np.zeros(0), (0, 0)
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        try:
            node = storage.getNode(_CAMERA)
            if not node.empty():
                values = _vector(node.getNode("intrinsics"))
                coefficients = _vector(node.getNode("distortion_coefficients"))
                size = int(node.getNode("width").real()), int(node.getNode("height").real())
        finally:
            storage.release()
    except (cv2.error, ValueError, OverflowError, SystemError):
        values = np.zeros(0)
    if values.size != 4 or min(size) < 1:
        raise missing_part(
            folder,
            f"no intrinsics of {_CAMERA} in {_SENSORS}",
            "width, height and intrinsics: fx, cx, fy, cy",
            f"extract {_SENSORS} again, or give {option('intrinsics', 'fx,fy,cx,cy')}",
        )
    fx, cx, fy, cy = (float(value) for value in values)
    lens = tuple(float(value) for value in coefficients) if np.any(coefficients) else ()
    return LensModel(*size, fx, fy, cx, cy, "", lens)


def _vector(node: cv2.FileNode) -> npt.NDArray[np.float64]:
    if node.empty() or not node.isMap():
        return np.zeros(0)
    matrix = node.mat()
    return np.zeros(0) if matrix is None else np.asarray(matrix, dtype=np.float64).reshape(-1)


def mount_of(path: Path, parent: str, child: str) -> Matrix | None:
    """Return T_parent_child by the transforms of ``trans_matrix.yaml``; None: no way leads.

    >>> mount_of(Path("/nowhere.yaml"), "base_link", "camera") is None
    True
    """
    edges: dict[str, list[tuple[str, Matrix]]] = {}
    for above, below, transform in _transforms(path):
        edges.setdefault(above, []).append((below, transform))
        edges.setdefault(below, []).append((above, inverted(transform)))
    waiting: deque[tuple[str, Matrix]] = deque([(parent, np.eye(4))])
    seen = {parent}
    while waiting:
        frame, found = waiting.popleft()
        if frame == child:
            return found
        for other, step in edges.get(frame, []):
            if other not in seen:
                seen.add(other)
                waiting.append((other, found @ step))
    return None


def _transforms(path: Path) -> list[tuple[str, str, Matrix]]:
    if not path.is_file():
        return []
    found = []
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        try:
            rows = storage.getNode("trans_matrix")
            for place in range(rows.size() if not rows.empty() and rows.isSeq() else 0):
                row = rows.at(place)
                if not row.isMap():
                    continue
                names = [row.getNode(n).string() for n in ("parent_frame", "child_frame")]
                transform = rigid(_vector(row.getNode("matrix")))
                if transform is not None and all(names):
                    found.append((names[0].lstrip("/"), names[1].lstrip("/"), transform))
        finally:
            storage.release()
    except (cv2.error, ValueError, SystemError):
        return []
    return found
