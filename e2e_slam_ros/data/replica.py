"""Folders of Replica as NICE-SLAM renders them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.layout import (
    Wanted,
    image_files,
    layout_calibration,
    missing_part,
    note_no_times,
    number_of,
    stamp_of_number,
)
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import camera_pose, matrix_rows
from e2e_slam_ros.data.text_list import read_text
from e2e_slam_ros.geometry.lens_model import LensModel

_CAMERA, _POSES = "cam_params.json", "traj.txt"
_DEPTH_FACTOR = 6553.5


class ReplicaReader(LayoutSequence):
    """A Replica scene: ``results/frame000000.jpg``, ``results/depth000000.png``, ``traj.txt``.

    ``traj.txt`` has one camera-to-world matrix a line (16 numbers; x right, y down, z forward).
    ``cam_params.json`` is in the folder or in the one above it.

    Raises:
        DataError: not such a folder, or no ``cam_params.json``.

    >>> import tempfile
    >>> from PIL import Image
    >>> camera = {"w": 8, "h": 6, "fx": 8, "fy": 8, "cx": 3.5, "cy": 2.5, "scale": 6553.5}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "results").mkdir()
    ...     Image.new("RGB", (8, 6)).save(Path(folder) / "results" / "frame000000.jpg")
    ...     _ = (Path(folder) / _CAMERA).write_text(json.dumps({"camera": camera}))
    ...     ReplicaReader(Path(folder))[0].camera.fx
    8.0
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        found = image_files(folder / "results")
        images = [path for path in found if path.name.startswith("frame")]
        depths = {number_of(p): p for p in found if p.name.startswith("depth")}
        if not images:
            raise missing_part(folder, "no results/frame*", "results/frame000000.jpg and others")
        report.listed = len(images)
        note_no_times(report)
        camera = _camera(folder)
        poses = []
        if (folder / _POSES).is_file():
            poses = matrix_rows(folder / _POSES, report)
        else:
            report.note(f"no {_POSES}: the frames have no pose")
        files = []
        for image in images:
            number = number_of(image) or 0
            depth = depths.get(number)
            if depth is None:
                report.skip("missing depth image")
            pose = poses[number] if number < len(poses) else None
            pose = camera_pose(pose, np.eye(4), wanted.options)
            files.append(FrameFiles(stamp_of_number(number), image, depth, pose))
        calibration = layout_calibration(
            wanted,
            lambda: _lens(camera, folder),
            _factor(camera, folder),
            _CAMERA,
            images[0],
            report,
        )
        super().__init__(folder.resolve().name, files, calibration, report, wanted)


def is_replica_folder(path: Path) -> bool:
    """Return whether a folder has the images of a Replica scene."""
    results = path / "results"
    return results.is_dir() and next(results.glob("frame*"), None) is not None


def _camera(folder: Path) -> dict[str, Any]:
    path = next((p / _CAMERA for p in (folder, folder.parent) if (p / _CAMERA).is_file()), None)
    if path is None:
        return {}
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as problem:
        raise _refusal(path, problem) from problem
    camera = content.get("camera", content) if isinstance(content, dict) else None
    if not isinstance(camera, dict):
        raise _refusal(path, type(camera).__name__)
    return camera


def _lens(camera: dict[str, Any], folder: Path) -> LensModel:
    try:
        size = int(camera["w"]), int(camera["h"])
        fx, fy, cx, cy = (float(camera[key]) for key in ("fx", "fy", "cx", "cy"))
        return LensModel(*size, fx, fy, cx, cy)
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        raise _refusal(folder / _CAMERA, repr(problem)) from problem


def _factor(camera: dict[str, Any], folder: Path) -> float:
    try:
        return float(camera.get("scale", _DEPTH_FACTOR))
    except (TypeError, ValueError, OverflowError) as problem:
        raise _refusal(folder / _CAMERA, repr(problem)) from problem


def _refusal(path: Path, got: object) -> DataError:
    return DataError.from_parts(
        f"calibration {path}",
        got,
        "a camera with w, h, fx, fy, cx, cy and scale",
        f"copy NICE-SLAM's file there, or give {option('intrinsics', 'FILE')}",
    )
