"""Colour and depth images from files or bytes, with checks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.geometry.camera import PinholeCamera

# Pillow raises these for truncated, corrupt and extremely large images.
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)
_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I")


def read_color(source: Path | bytes, what: str) -> npt.NDArray[np.uint8]:
    """Return an image as (H, W, 3) uint8 RGB. Grey is repeated and alpha is dropped.

    ``what`` names the image in error messages.

    Raises:
        DataError: missing, truncated or not an image.
    """
    try:
        with Image.open(_stream(source)) as image:
            return np.array(image.convert("RGB"), dtype=np.uint8)
    except _DECODE_ERRORS as problem:
        raise _unreadable(what, problem, "a PNG or JPEG colour image") from problem


def read_depth(source: Path | bytes, what: str, factor: float) -> npt.NDArray[np.float32]:
    """Return a 16-bit depth image as (H, W) float32 metres, 0 = invalid.

    Args:
        factor: counts per metre (TUM: 5000; millimetres: 1000).

    Raises:
        DataError: missing, truncated, or not a one-channel 16-bit image.
    """
    return read_counts(source, what).astype(np.float32) / np.float32(factor)


def read_counts(source: Path | bytes, what: str) -> npt.NDArray[np.uint16]:
    """Return a one-channel 16-bit image as (H, W) uint16. Errors are as in `read_depth`."""
    try:
        with Image.open(_stream(source)) as image:
            mode = image.mode
            counts = np.array(image)
    except _DECODE_ERRORS as problem:
        raise _unreadable(what, problem, "a 16-bit PNG depth image") from problem
    if mode not in _DEPTH_MODES or counts.ndim != 2:
        raise DataError.from_parts(
            f"depth image {what}",
            f"mode {mode}",
            "one channel of 16 bits",
            "export depth as 16-bit PNG (8-bit files have lost the depth)",
        )
    checked: npt.NDArray[np.uint16] = np.clip(counts, 0, 65535).astype(np.uint16)
    return checked


def image_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) from an image's header, or None if it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except _DECODE_ERRORS:
        return None


def check_size(shape: tuple[int, ...], camera: PinholeCamera, what: str) -> None:
    """Raise `DataError` unless an (H, W, ...) array has the camera's size."""
    height, width = shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DataError.from_parts(
            what,
            f"{width}x{height} pixels",
            f"{camera.width}x{camera.height}, the calibration's size",
            "give the calibration of these images or remove the file",
        )


def _stream(source: Path | bytes) -> Path | IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _unreadable(what: str, problem: BaseException, expected: str) -> DataError:
    return DataError.from_parts(
        f"image {what}", f"{type(problem).__name__}: {problem}", expected, "copy the file again"
    )
