"""Colour and depth images from files or bytes, with checks."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.lens_model import LensModel

# Pillow raises these for truncated, corrupt and extremely large images.
_DECODE_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error),
    Image.DecompressionBombError,
)
_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I")
# Read by OpenCV, which is half again as fast as Pillow. It turns images as EXIF says, drops alpha,
# and takes the upper byte of 16 bits.
_FAST_MODES = ("1", "L", "RGB", "RGBA", "P", *_DEPTH_MODES)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What a complete JPEG ends with. OpenCV fills the rest of an incomplete one with grey.
_END_OF_JPEG = b"\xff\xd9"
_TAIL = 64
_ORIENTATION = 274
# A frame of an 8K camera has 33 million pixels.
_MOST_PIXELS = 64_000_000
# Deflate makes at most 1032 bytes of one. Eight pixels of one bit fit into a byte.
_GROWTH = 1032
_LIGHT_MODES = ("1", "L", "P")


def read_color(source: Path | bytes, what: str) -> npt.NDArray[np.uint8]:
    """Return an image as (H, W, 3) uint8 RGB.

    Grey is repeated and alpha is dropped. 16 bits become 8 by division by 256. The image is
    turned as its EXIF orientation says.

    ``what`` names the image in error messages.

    Raises:
        DataError: missing, truncated, larger than 64 million pixels, or not an image.
    """
    try:
        content = _content(source)
        with _opened(content) as image:
            if _is_complete(image, content):
                decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
                if decoded is not None:
                    rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
                    return np.asarray(rgb, dtype=np.uint8)
            turned = ImageOps.exif_transpose(image)
            if turned.mode in _DEPTH_MODES:
                grey = np.clip(np.array(turned), 0, 65535).astype(np.uint16) >> 8
                return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
            return np.array(turned.convert("RGB"), dtype=np.uint8)
    except (*_DECODE_ERRORS, cv2.error) as problem:
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
        content = _content(source)
        with _opened(content) as image:
            mode = image.mode
            decoded = None
            if mode in _DEPTH_MODES and _is_complete(image, content):
                raw = np.frombuffer(content, np.uint8)
                decoded = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
            counts = np.array(image) if decoded is None else np.asarray(decoded)
    except (*_DECODE_ERRORS, cv2.error) as problem:
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
    """Return (width, height) as `read_color` gives it, from the header; None if unreadable."""
    try:
        with Image.open(path) as image:
            # The fifth to eighth orientation of EXIF turns the image by a quarter.
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return image.size[::-1] if turned else image.size
    except _DECODE_ERRORS:
        return None


def rectified(image: npt.NDArray[np.uint8], lens: LensModel, what: str) -> npt.NDArray[np.uint8]:
    """Return an image of ``lens.pinhole``; the image itself where that needs no remapping.

    Raises:
        DataError: the image has another size than the lens.
    """
    if lens.rectifier is None:
        return image
    check_size(image.shape, lens, what)
    return lens.rectifier.image(image)


def enlarged(
    depth: npt.NDArray[np.float32], camera: PinholeCamera | LensModel, what: str
) -> npt.NDArray[np.float32]:
    """Return depth (h, w) of the camera's view at the camera's size.

    Each pixel gets the depth of the smaller image's pixel that covers its centre.

    Raises:
        DataError: the image has another shape than the camera's images.
    """
    width, height = camera.width, camera.height
    if depth.shape == (height, width):
        return depth
    if abs(depth.shape[1] * height - depth.shape[0] * width) > max(width, height):
        raise DataError.from_parts(
            what,
            f"{depth.shape[1]}x{depth.shape[0]} pixels",
            f"the shape of the images, {width}x{height}",
            "give depth of the same view as the images",
        )
    large = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(large, dtype=np.float32)


def check_size(shape: tuple[int, ...], camera: PinholeCamera | LensModel, what: str) -> None:
    """Raise `DataError` unless an (H, W, ...) array has the camera's size."""
    height, width = shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DataError.from_parts(
            what,
            f"{width}x{height} pixels",
            f"{camera.width}x{camera.height}, the calibration's size",
            f"give the calibration of these images: {option('intrinsics', 'FILE')}",
        )


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _opened(content: bytes) -> Image.Image:
    """Return an image whose header is read. Its pixels are decoded later.

    Raises:
        OSError: not an image, or too large a one.
    """
    try:
        with warnings.catch_warnings():
            # Our own limit is lower than that of the warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        start = content[:8].hex(" ") or "nothing"
        raise OSError(f"{len(content)} bytes that begin with {start}: no image format") from None
    pixels = image.width * image.height
    if pixels > _MOST_PIXELS:
        raise OSError(f"{image.width}x{image.height} pixels, more than any camera has")
    if pixels > _GROWTH * (8 if image.mode in _LIGHT_MODES else 1) * len(content):
        raise OSError(f"{image.width}x{image.height} pixels in {len(content)} bytes")
    return image


def _is_complete(image: Image.Image, content: bytes) -> bool:
    """Return whether OpenCV may decode a file: a mode it knows, and nothing is cut off."""
    if image.mode not in _FAST_MODES:
        return False
    if image.format == "PNG":
        return _has_whole_chunks(content)
    return image.format == "JPEG" and _END_OF_JPEG in content[-_TAIL:]


def _has_whole_chunks(content: bytes) -> bool:
    """Return whether the chunks of a PNG end with IEND inside the file.

    OpenCV makes room for what a damaged length says, up to 2 GB.
    """
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        place += 12 + int(length)
        if kind == b"IEND":
            return place <= len(content)
    return False


def _unreadable(what: str, problem: BaseException, expected: str) -> DataError:
    return DataError.from_parts(f"image {what}", _words(problem), expected, "copy the file again")


def _words(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}"
