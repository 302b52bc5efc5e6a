"""Cameras in the calibration files of other programs.

Read are `camera_calibration` of ROS (``ost.yaml``), Kalibr (``camchain.yaml``), EuRoC
(``sensor.yaml``), OpenCV's FileStorage, and COLMAP (``cameras.txt``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from e2e_slam_ros.config.errors import CameraError, DataError
from e2e_slam_ros.geometry.lens_model import FISHEYE, PLUMB_BOB, RATIONAL, LensModel

# COLMAP's models: what the numbers after the size are. Its first pixel's centre is (0.5, 0.5).
_COLMAP = {
    "SIMPLE_PINHOLE": (PLUMB_BOB, "f cx cy"),
    "PINHOLE": (PLUMB_BOB, "fx fy cx cy"),
    "SIMPLE_RADIAL": (PLUMB_BOB, "f cx cy k1"),
    "RADIAL": (PLUMB_BOB, "f cx cy k1 k2"),
    "OPENCV": (PLUMB_BOB, "fx fy cx cy k1 k2 p1 p2"),
    "FULL_OPENCV": (RATIONAL, "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6"),
    "OPENCV_FISHEYE": (FISHEYE, "fx fy cx cy k1 k2 k3 k4"),
    "SIMPLE_RADIAL_FISHEYE": (FISHEYE, "f cx cy k1"),
    "RADIAL_FISHEYE": (FISHEYE, "f cx cy k1 k2"),
}
_COLMAP_CENTRE = 0.5


def lens_of_mapping(content: Mapping[str, Any], what: str) -> LensModel | None:
    """Return the lens that a YAML file of another program holds; None if it is none of them.

    Of several cameras (Kalibr) the first one is taken.

    Raises:
        DataError: it is one of them, but not complete.
        CameraError: the values do not describe a camera.

    >>> matrix = {"rows": 3, "cols": 3, "data": [90, 0, 47.5, 0, 90, 35.5, 0, 0, 1]}
    >>> lens_of_mapping({"image_width": 96, "image_height": 72, "camera_matrix": matrix}, "f").fx
    90.0
    """
    try:
        if "camera_matrix" in content and ("image_width" in content or "width" in content):
            return _of_ros(content)
        if "cam0" in content or ("intrinsics" in content and "resolution" in content):
            return _of_kalibr(content)
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise DataError.from_parts(
            what,
            f"{type(problem).__name__}: {problem}",
            "a size, a camera matrix and distortion coefficients",
            "export the calibration again",
        ) from problem
    return None


def lens_of_opencv_storage(path: Path) -> LensModel | None:
    """Return the lens of a file of OpenCV's FileStorage (``%YAML:1.0``); None if it is none.

    Raises:
        CameraError: the values do not describe a camera.
    """
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    except cv2.error:
        return None
    try:
        matrix = _first(storage, ("camera_matrix", "Camera_Matrix", "K", "cameraMatrix"))
        if matrix is None or matrix.shape != (3, 3):
            return None
        names = ("distortion_coefficients", "Distortion_Coefficients", "D", "distCoeffs")
        found = _first(storage, names)
        coefficients = () if found is None else tuple(float(v) for v in found.reshape(-1))
        width, height = (_side(storage, side) for side in ("width", "height"))
        fisheye = storage.getNode("fisheye_model")
        model = FISHEYE if not fisheye.empty() and fisheye.real() else PLUMB_BOB
        k = matrix
        inner = (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))
        return LensModel(width, height, *inner, model, coefficients)
    except cv2.error:
        return None
    finally:
        storage.release()


def lens_of_colmap(text: str, what: str) -> LensModel | None:
    """Return the first camera of COLMAP's ``cameras.txt``; None if the text is no such file.

    Raises:
        DataError: its model is not known, or it lacks numbers.
        CameraError: the values do not describe a camera.

    >>> lens_of_colmap("1 PINHOLE 96 72 90 90 48 36", "cameras.txt").cx
    47.5
    """
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 5 or not words[0].isdigit() or not words[1].isupper():
            return None
        if words[1] not in _COLMAP:
            raise DataError.from_parts(
                what, f"COLMAP's model {words[1]}", ", ".join(_COLMAP), "undistort with COLMAP"
            )
        model, names = _COLMAP[words[1]]
        try:
            width, height = int(words[2]), int(words[3])
            values = dict(zip(names.split(), map(float, words[4:]), strict=True))
        except ValueError as problem:
            raise DataError.from_parts(
                what, line, f"{words[1]} width height {names}", "export it again"
            ) from problem
        fx, fy = (values.get(name, values.get("f", 0.0)) for name in ("fx", "fy"))
        order = "k1 k2 k3 k4" if model == FISHEYE else "k1 k2 p1 p2 k3 k4 k5 k6"
        known = [values.get(name, 0.0) for name in order.split()]
        count = 8 if model == RATIONAL else 4
        coefficients = tuple(known[:count]) if model == FISHEYE or any(known) else ()
        centre = values["cx"] - _COLMAP_CENTRE, values["cy"] - _COLMAP_CENTRE
        return LensModel(width, height, fx, fy, *centre, model, coefficients)
    return None


def _of_ros(content: Mapping[str, Any]) -> LensModel:
    k = _numbers(content["camera_matrix"])
    coefficients = _numbers(content.get("distortion_coefficients") or ())
    model = str(content.get("distortion_model") or content.get("camera_model") or "")
    fisheye = "equi" in model or "fisheye" in model
    if not any(coefficients) and not fisheye:
        coefficients, model = (), ""
    width = int(content.get("image_width", content.get("width", 0)))
    height = int(content.get("image_height", content.get("height", 0)))
    return LensModel(width, height, k[0], k[4], k[2], k[5], model, coefficients)


def _of_kalibr(content: Mapping[str, Any]) -> LensModel:
    camera = content.get("cam0", content)
    width, height = (int(value) for value in camera["resolution"])
    fx, fy, cx, cy = _numbers(camera["intrinsics"])
    if str(camera.get("camera_model", "pinhole")) != "pinhole":
        raise CameraError.from_parts(
            "camera model",
            camera["camera_model"],
            "pinhole with radtan or equidistant distortion",
            "calibrate with --models pinhole-radtan or pinhole-equi",
        )
    model = str(camera.get("distortion_model", "none"))
    given = camera.get("distortion_coeffs", camera.get("distortion_coefficients")) or ()
    return LensModel(width, height, fx, fy, cx, cy, model, _numbers(given))


def _numbers(value: Any) -> tuple[float, ...]:
    """Return a list, or a matrix of rows, columns and data, as numbers."""
    if isinstance(value, Mapping):
        value = value["data"]
    flat: Sequence[Any] = np.asarray(value, dtype=np.float64).reshape(-1).tolist()
    return tuple(float(number) for number in flat)


def _first(storage: cv2.FileStorage, names: Sequence[str]) -> Any:
    for name in names:
        node = storage.getNode(name)
        if not node.empty() and node.isMap():
            return node.mat()
    return None


def _side(storage: cv2.FileStorage, side: str) -> int:
    for name in (f"image_{side}", f"image_{side.title()}", side):
        node = storage.getNode(name)
        if not node.empty():
            return int(node.real())
    return 0
