"""Folders of nerfstudio and instant-ngp: transforms.json with images beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.images import enlarged, image_size, read_depth
from e2e_slam_ros.data.layout import (
    Wanted,
    layout_calibration,
    missing_part,
    natural,
    note_no_times,
    stamp_of_number,
)
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import camera_pose, rigid
from e2e_slam_ros.data.text_list import listed_file, read_text
from e2e_slam_ros.geometry.lens_model import FISHEYE, PLUMB_BOB, LensModel

_FILES = ("transforms.json", "transforms_train.json")
# Axes of OpenGL: y up, the camera looks along -z.
_GL_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])
# The first pixel's centre is at (0.5, 0.5) there.
_CENTRE = 0.5
_DEPTH_M = 1e-3
# Focal lengths of single images may differ so much from the middle one.
_SPREAD = 0.02
_FISHEYES = ("OPENCV_FISHEYE", "fisheye")
_KNOWN = ("", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "OPENCV_FISHEYE", "SIMPLE_RADIAL", "RADIAL")


@dataclass(frozen=True)
class _Entry:
    image: Path
    values: Mapping[str, Any]


class NerfstudioReader(LayoutSequence):
    """A folder with ``transforms.json``: images with cameras and poses in OpenGL axes.

    ``transform_matrix`` is camera-to-world with y up and z backward; poses become optical ones.
    Intrinsics are ``fl_x fl_y cx cy w h`` with ``k1 k2 k3 k4 p1 p2``, or ``camera_angle_x``.
    Those of single images are joined to one camera by their middle values, if they differ by
    less than 2 %. Depth (``depth_file_path`` or ``depth_path``) is in millimetres, or as
    ``integer_depth_scale`` says; where it is smaller than the images, it is enlarged. Frames are
    in the order of their names.

    Raises:
        DataError: no such file, or no frame with an image.

    >>> import tempfile
    >>> from PIL import Image
    >>> entry = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    >>> content = {"fl_x": 8, "cx": 4, "cy": 3, "w": 8, "h": 6, "frames": [entry]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (8, 6)).save(Path(folder) / "a.png")
    ...     _ = (Path(folder) / "transforms.json").write_text(json.dumps(content))
    ...     frame = NerfstudioReader(Path(folder))[0]
    >>> frame.camera.cx, float(frame.T_map_camera[2, 2])
    (3.5, -1.0)
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        path = _file(folder)
        if path is None:
            raise missing_part(folder, f"no {_FILES[0]}", f"{_FILES[0]} with its images")
        content = _content(path)
        entries = _entries(folder, content, report)
        size = image_size(entries[0].image)
        calibration = layout_calibration(
            wanted,
            lambda: _lens(content, entries, size, path, report),
            _factor(content, path),
            path.name,
            size,
            report,
        )
        files = _frames(folder, entries, wanted, report)
        if any(frame.depth is None for frame in files):
            report.note("poses of structure from motion have no metric scale; those of ARKit do")
        super().__init__(folder.resolve().name, files, calibration, report, wanted)

    def _decode_depth(self, index: int, source: Path) -> tuple[npt.NDArray[np.float32], str]:
        what = f"depth image {source}"
        depth = read_depth(source, str(source), self._calibration.depth_factor)
        lens = self._calibration.lens
        depth = enlarged(depth, lens or self._camera, what)
        if lens is not None and lens.rectifier is not None:
            depth = lens.rectifier.depth(depth)
        return depth, what


def is_nerfstudio_folder(path: Path) -> bool:
    """Return whether a folder holds transforms.json."""
    return path.is_dir() and _file(path) is not None


def _file(folder: Path) -> Path | None:
    return next((folder / name for name in _FILES if (folder / name).is_file()), None)


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as problem:
        raise _refusal(path, problem) from problem
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        raise _refusal(path, "no list of frames")
    return content


def _refusal(path: Path, got: object) -> DataError:
    return DataError.from_parts(
        f"file {path}",
        got,
        "JSON with intrinsics, and frames with file_path and transform_matrix",
        f"export it again; intrinsics may be given: {option('intrinsics', 'fx,fy,cx,cy')}",
    )


def _entries(folder: Path, content: Mapping[str, Any], report: ReaderReport) -> list[_Entry]:
    found: dict[str, _Entry] = {}
    report.listed = len(content["frames"])
    for values in content["frames"]:
        name = values.get("file_path") if isinstance(values, dict) else None
        if not isinstance(name, str):
            report.skip("frame without file_path")
            continue
        # Scenes rendered by Blender leave out the suffix.
        image = listed_file(folder, name) or listed_file(folder, f"{name}.png")
        if image is None:
            report.skip("missing colour image")
        elif str(image) in found:
            report.skip("image named twice")
        else:
            found[str(image)] = _Entry(image, values)
    if not found:
        raise missing_part(
            folder, f"no image of the {report.listed} frames", "the images beside transforms.json"
        )
    return [found[name] for name in sorted(found, key=natural)]


def _number(values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{key} is {number}")
    return number


def _inner(values: Mapping[str, Any], size: tuple[int, int]) -> list[float]:
    """Return fl_x, fl_y, cx, cy of the whole file or of one frame."""
    width, height = size
    if "fl_x" in values:
        fx = _number(values, "fl_x")
    else:
        fx = 0.5 * width / math.tan(0.5 * _number(values, "camera_angle_x"))
    fy = fx
    if "fl_y" in values:
        fy = _number(values, "fl_y")
    elif "camera_angle_y" in values and "fl_x" not in values:
        fy = 0.5 * height / math.tan(0.5 * _number(values, "camera_angle_y"))
    return [fx, fy, _number(values, "cx", width / 2), _number(values, "cy", height / 2)]


def _lens(
    content: Mapping[str, Any],
    entries: Sequence[_Entry],
    size: tuple[int, int] | None,
    path: Path,
    report: ReaderReport,
) -> LensModel:
    try:
        known = size or (int(_number(content, "w")), int(_number(content, "h")))
        # What is said of one frame comes before what is said of all.
        inner = np.array([_inner({**content, **e.values}, known) for e in entries])
        model = str(content.get("camera_model", ""))
        if model and model not in (*_KNOWN, *_FISHEYES):
            raise ValueError(f"camera_model {model}")
        k = [_number(content, f"k{i}", 0.0) for i in (1, 2, 3, 4)]
        p = [_number(content, f"p{i}", 0.0) for i in (1, 2)]
        said = int(_number(content, "w", known[0]))
    except (ValueError, ZeroDivisionError, OverflowError) as problem:
        raise _refusal(path, problem) from problem
    middle = np.median(inner, axis=0)
    spread = float(np.abs(inner[:, :2] / middle[:2] - 1.0).max())
    if not spread <= _SPREAD:
        raise DataError.from_parts(
            f"file {path}",
            f"focal lengths that differ by {spread:.0%}",
            "images of one camera without zoom",
            "keep the images of one camera",
        )
    if spread > 1e-3:
        report.note(f"focal lengths differ by {spread:.1%} between images; the middle ones serve")
    # Images may be a smaller copy (images_2/): intrinsics are for the size in the file.
    scale = known[0] / said if said > 0 else 1.0
    fx, fy, cx, cy = (float(value) * scale for value in middle)
    fisheye = model in _FISHEYES or bool(content.get("is_fisheye"))
    if not fisheye and k[3] != 0.0:
        report.note(f"k4 = {k[3]:g} of {path.name} has no place in OpenCV's model: left out")
    coefficients = k if fisheye else [*k[:2], *p, k[2]]
    lens = tuple(coefficients) if fisheye or any(coefficients) else ()
    name = FISHEYE if fisheye else PLUMB_BOB
    return LensModel(*known, fx, fy, cx - _CENTRE, cy - _CENTRE, name, lens)


def _factor(content: Mapping[str, Any], path: Path) -> float:
    """Return depth counts per metre."""
    for key in ("integer_depth_scale", "depth_unit_scale_factor"):
        if key in content:
            try:
                scale = _number(content, key)
            except (ValueError, OverflowError) as problem:
                raise _refusal(path, problem) from problem
            return 1.0 / scale if scale > 0 else 1.0 / _DEPTH_M
    return 1.0 / _DEPTH_M


def _frames(
    folder: Path, entries: Sequence[_Entry], wanted: Wanted, report: ReaderReport
) -> list[FrameFiles]:
    note_no_times(report)
    files = []
    for number, entry in enumerate(entries):
        name = entry.values.get("depth_file_path", entry.values.get("depth_path"))
        depth = listed_file(folder, name) if isinstance(name, str) else None
        if isinstance(name, str) and depth is None:
            report.skip("missing depth image")
        try:
            pose = rigid(np.array(entry.values.get("transform_matrix"), dtype=np.float64))
        except (TypeError, ValueError, OverflowError):
            pose = None
        if pose is None:
            report.skip("transform_matrix not finite or not rigid")
        pose = camera_pose(pose, _GL_OPTICAL, wanted.options)
        files.append(FrameFiles(stamp_of_number(number), entry.image, depth, pose))
    return files
