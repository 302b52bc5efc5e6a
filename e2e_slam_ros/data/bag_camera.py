"""Conversion of CameraInfo messages to cameras."""

from __future__ import annotations

from typing import Any

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.camera import PinholeCamera

_PLUMB_BOB = ("", "plumb_bob", "rational_polynomial")


def camera_of_info(info: Any, rectified: bool = False) -> PinholeCamera:
    """Return the camera of a CameraInfo message (ROS 1 or 2 field names).

    Args:
        rectified: true if the image is rectified. The intrinsics then come from the projection
            matrix P, and the distortion is ignored.

    Raises:
        CameraError: K of zeros, no size, or a distortion model other than plumb_bob. A
            rational_polynomial with k4..k6 of zero counts as plumb_bob.
    """
    k, d, p = (_field(info, name) for name in ("k", "d", "p"))
    fx, fy, cx, cy = k[0], k[4], k[2], k[5]
    distortion: tuple[float, ...] = ()
    if rectified and p[0] > 0.0:
        fx, fy, cx, cy = p[0], p[5], p[2], p[6]
    elif any(d):
        distortion = _plumb_bob(str(info.distortion_model), d)
    if info.width < 1 or info.height < 1:
        raise CameraError.from_parts(
            "camera_info", f"size {info.width}x{info.height}", "the image's size", "calibrate it"
        )
    return PinholeCamera(int(info.width), int(info.height), fx, fy, cx, cy, distortion)


def _field(info: Any, name: str) -> list[float]:
    values = getattr(info, name) if hasattr(info, name) else getattr(info, name.upper())
    return [float(value) for value in values]


def _plumb_bob(model: str, coefficients: list[float]) -> tuple[float, ...]:
    if model not in _PLUMB_BOB or any(coefficients[5:]):
        raise CameraError.from_parts(
            "camera_info",
            f"distortion model {model or 'unnamed'} with {len(coefficients)} coefficients",
            "plumb_bob (k1 k2 p1 p2 k3)",
            "rectify the images first (image_proc) and use image_rect with its camera_info",
        )
    return tuple(coefficients[:5])
