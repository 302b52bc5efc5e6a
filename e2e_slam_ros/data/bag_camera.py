"""Conversion of CameraInfo messages to cameras."""

from __future__ import annotations

from typing import Any

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.lens_model import FISHEYE, MODELS, LensModel


def lens_of_info(
    info: Any, rectified: bool = False, size: tuple[int, int] | None = None
) -> LensModel:
    """Return the lens of a CameraInfo message (ROS 1 or 2 field names).

    Binning and region of interest are applied as sensor_msgs says, if the images have that size.

    Args:
        rectified: true if the image is rectified. The intrinsics then come from the projection
            matrix P (K where P is zero), and the distortion is ignored.
        size: (width, height) of the images. None: that of the message.

    Raises:
        CameraError: K of zeros, no size or another size than the images, or a distortion model
            that `LensModel` does not know.
    """
    k, d, p = (_field(info, name) for name in ("k", "d", "p"))
    inner = (k[0], k[4], k[2], k[5])
    model = str(info.distortion_model)
    coefficients = _shortened(d, MODELS.get(model.lower()) == FISHEYE)
    if rectified:
        inner = (p[0], p[5], p[2], p[6]) if p[0] > 0.0 else inner
        model, coefficients = "", ()
    if info.width < 1 or info.height < 1:
        raise CameraError.from_parts(
            "camera_info", f"size {info.width}x{info.height}", "the image's size", "calibrate it"
        )
    if not coefficients and MODELS.get(model.lower()) != FISHEYE:
        model = ""
    full = LensModel(int(info.width), int(info.height), *inner, model, coefficients)
    binning = (int(info.binning_x), int(info.binning_y))
    roi = tuple(int(getattr(info.roi, n)) for n in ("x_offset", "y_offset", "width", "height"))
    part = full.windowed(binning, (roi[0], roi[1], roi[2], roi[3]))
    if size is None:
        return part
    for lens in (part, full):
        if (lens.width, lens.height) == size:
            return lens
    raise CameraError.from_parts(
        "image size",
        f"{size[0]}x{size[1]}",
        f"{part.width}x{part.height}, from camera_info: {full.width}x{full.height}, binning "
        f"{binning[0]} x {binning[1]}, region of interest {roi[2]}x{roi[3]} at {roi[0]}, {roi[1]}",
        "publish camera_info that fits the images",
    )


def camera_of_info(info: Any, rectified: bool = False) -> PinholeCamera:
    """Return the pinhole camera of a CameraInfo message; see `lens_of_info`.

    Raises:
        CameraError: as `lens_of_info`, or images of this lens must be remapped first.
    """
    lens = lens_of_info(info, rectified)
    if not lens.is_plain:
        raise CameraError.from_parts(
            "camera_info", lens.words, "plumb_bob (k1 k2 p1 p2 k3)", "use `lens_of_info`"
        )
    return lens.pinhole


def _field(info: Any, name: str) -> list[float]:
    values = getattr(info, name) if hasattr(info, name) else getattr(info, name.upper())
    return [float(value) for value in values]


def _shortened(coefficients: list[float], fisheye: bool) -> tuple[float, ...]:
    """Return the coefficients without zeros that change nothing. All zeros are no lens.

    A fisheye with zeros is still a fisheye.
    """
    if fisheye:
        return tuple(coefficients[:4] if not any(coefficients[4:]) else coefficients)
    if not any(coefficients):
        return ()
    if len(coefficients) > 5 and not any(coefficients[5:]):
        return tuple(coefficients[:5])
    return tuple(coefficients)
