"""Pixels of ROS image messages as NumPy arrays, without ROS.

Encoding names are those of sensor_msgs/image_encodings.hpp. Depth follows REP 118: 16UC1 is in
millimetres with 0 = invalid, 32FC1 in metres with NaN = invalid.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.images import read_color, read_counts

MILLIMETRES_PER_METRE = 1000.0


@dataclass(frozen=True)
class _Layout:
    """Storage of one pixel: type, number of channels, and the channels of red, green and blue."""

    dtype: str
    channels: int
    rgb: tuple[int, int, int] = (0, 0, 0)


class RawImage(NamedTuple):
    """The content of an Image message (ROS 1 or 2).

    ``step`` is bytes a row with padding, 0 = no padding; ``big_endian`` the byte order of pixels
    of 16 and 32 bits; ``data`` any object with the buffer protocol.

    >>> RawImage("mono8", width=2, height=1, step=2, big_endian=False, data=bytes(2)).encoding
    'mono8'
    """

    encoding: str
    width: int
    height: int
    step: int
    big_endian: bool
    data: object

    @classmethod
    def of(cls, message: Any) -> RawImage:
        """Return the content of a message."""
        size = (int(message.width), int(message.height), int(message.step))
        return cls(str(message.encoding), *size, bool(message.is_bigendian), message.data)


_COLOR = {
    "rgb8": _Layout("u1", 3, (0, 1, 2)),
    "bgr8": _Layout("u1", 3, (2, 1, 0)),
    "8UC3": _Layout("u1", 3, (2, 1, 0)),
    "rgba8": _Layout("u1", 4, (0, 1, 2)),
    "bgra8": _Layout("u1", 4, (2, 1, 0)),
    "8UC4": _Layout("u1", 4, (2, 1, 0)),
    "mono8": _Layout("u1", 1),
    "8UC1": _Layout("u1", 1),
    "mono16": _Layout("u2", 1),
}
# Positions of the two luma and the two chroma samples in the four bytes of a pixel pair.
_YUV422 = {
    "yuyv": (0, 2, 1, 3),
    "yuv422_yuy2": (0, 2, 1, 3),
    "uyvy": (1, 3, 0, 2),
    "yuv422": (1, 3, 0, 2),
}
_DEPTH = {"16UC1": _Layout("u2", 1), "mono16": _Layout("u2", 1), "32FC1": _Layout("f4", 1)}
LAYOUTS = {**_COLOR, **_DEPTH}
COLOR_ENCODINGS = (*_COLOR, *_YUV422)
DEPTH_ENCODINGS = tuple(_DEPTH)
# Header of compressed_depth_image_transport: format number and two quantisation terms.
_COMPRESSED_DEPTH_HEADER = struct.Struct("<iff")


def is_depth_encoding(encoding: str) -> bool:
    """Return whether an encoding, or a CompressedImage format, is always depth."""
    return encoding in ("16UC1", "32FC1") or "compressedDepth" in encoding


def decode_color(image: RawImage, what: str) -> npt.NDArray[np.uint8]:
    """Return a raw image as (H, W, 3) uint8 RGB. Grey is repeated and alpha is dropped.

    ``what`` names the image in messages.

    Raises:
        DataError: another encoding, or fewer bytes than the size needs.

    >>> decode_color(RawImage("bgr8", 1, 1, 3, False, bytes([1, 2, 3])), "image").tolist()
    [[[3, 2, 1]]]
    """
    return color_view(image, what).copy()


def color_view(image: RawImage, what: str) -> npt.NDArray[np.uint8]:
    """Return the image of `decode_color`; dense rgb8 stays a view of ``data``."""
    order = _YUV422.get(image.encoding)
    if order is not None:
        return _yuv422(_pixels(_Layout("u1", 2), image, what), order)
    layout = _COLOR.get(image.encoding)
    if layout is None:
        raise _unknown(image.encoding, COLOR_ENCODINGS, what)
    pixels = _pixels(layout, image, what)
    if layout.dtype == "u2":
        pixels = pixels.astype(np.uint16) >> 8
    rgb = pixels[..., :3] if layout.rgb == (0, 1, 2) else pixels[..., list(layout.rgb)]
    return np.ascontiguousarray(rgb, dtype=np.uint8)


def decode_depth(image: RawImage, what: str) -> npt.NDArray[np.float32]:
    """Return a raw depth image as (H, W) float32 metres, 0 = invalid.

    Raises:
        DataError: not one of `DEPTH_ENCODINGS`, or fewer bytes than the size needs.

    >>> image = RawImage("16UC1", 2, 1, 4, False, bytes([0xE8, 0x03, 0, 0]))
    >>> decode_depth(image, "depth").tolist()
    [[1.0, 0.0]]
    """
    pixels = depth_view(image, what)
    if pixels.dtype.kind == "u":
        return pixels.astype(np.float32) / np.float32(MILLIMETRES_PER_METRE)
    return _valid_metres(pixels.astype(np.float32))


def depth_view(image: RawImage, what: str) -> npt.NDArray[np.generic]:
    """Return a view (H, W) of a raw depth image as it is stored; see `decode_depth`."""
    layout = _DEPTH.get(image.encoding)
    if layout is None:
        raise _unknown(image.encoding, DEPTH_ENCODINGS, what)
    return _pixels(layout, image, what)[..., 0]


def decode_compressed_color(data: object, what: str) -> npt.NDArray[np.uint8]:
    """Return a CompressedImage (JPEG or PNG) as (H, W, 3) uint8 RGB.

    Raises:
        DataError: the bytes are no such image.
    """
    return read_color(bytes(memoryview(data)), what)  # type: ignore[arg-type]


def decode_compressed_depth(image_format: str, data: object, what: str) -> npt.NDArray[np.float32]:
    """Return a CompressedImage of depth as (H, W) float32 metres, 0 = invalid.

    Two formats are read. The ``compressedDepth`` transport holds 16UC1, or 32FC1 quantised as
    inverse depth: depth = a / (count - b). The other format is plain 16-bit PNG in millimetres.

    Raises:
        DataError: another format, or damaged bytes.
    """
    content = bytes(memoryview(data))  # type: ignore[arg-type]
    if "compressedDepth" not in image_format:
        return read_counts(content, what).astype(np.float32) / np.float32(MILLIMETRES_PER_METRE)
    if "rvl" in image_format.lower() or len(content) < _COMPRESSED_DEPTH_HEADER.size:
        raise DataError.from_parts(
            what, f"format {image_format!r}", "compressedDepth with PNG", "record it as PNG or raw"
        )
    _, a, b = _COMPRESSED_DEPTH_HEADER.unpack_from(content)
    counts = read_counts(content[_COMPRESSED_DEPTH_HEADER.size :], what)
    if "32FC1" not in image_format:
        return counts.astype(np.float32) / np.float32(MILLIMETRES_PER_METRE)
    with np.errstate(divide="ignore", invalid="ignore"):
        metres = np.float32(a) / (counts.astype(np.float32) - np.float32(b))
    return _valid_metres(np.where(counts > 0, metres, np.float32(0.0)).astype(np.float32))


def _pixels(layout: _Layout, image: RawImage, what: str) -> npt.NDArray[np.generic]:
    """Return a view (H, W, channels) of the message's bytes."""
    width, height = image.width, image.height
    dtype = np.dtype(layout.dtype).newbyteorder(">" if image.big_endian else "<")
    pixel = layout.channels * dtype.itemsize
    raw = np.frombuffer(image.data, dtype=np.uint8)  # type: ignore[call-overload]
    row = width * pixel
    step = image.step or row
    # The last row needs no padding.
    if width < 1 or height < 1 or step < row or raw.size < step * (height - 1) + row:
        raise DataError.from_parts(
            what,
            f"{width}x{height} pixels, {step} bytes a row, {raw.size} bytes",
            f"at least {row} bytes a row and that times the height",
            "the data are damaged, or the driver fills in a wrong step",
        )
    shape, strides = (height, width, layout.channels), (step, pixel, dtype.itemsize)
    return np.ndarray(shape, dtype, buffer=raw.data, strides=strides)


def _yuv422(
    pixels: npt.NDArray[np.generic], order: tuple[int, int, int, int]
) -> npt.NDArray[np.uint8]:
    """Convert packed 4:2:2 to RGB with the full-range JPEG (BT.601) matrix that cameras use."""
    height, width = pixels.shape[:2]
    if width % 2:
        raise DataError.from_parts(
            "4:2:2 image", f"width {width}", "an even width", "the recording is damaged"
        )
    quads = pixels.reshape(height, width // 2, 4).astype(np.float32)
    luma = quads[..., [order[0], order[1]]].reshape(height, width)
    blue = np.repeat(quads[..., order[2]], 2, axis=1) - 128.0
    red = np.repeat(quads[..., order[3]], 2, axis=1) - 128.0
    rgb = np.stack(
        [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=-1
    )
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _valid_metres(metres: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    valid = np.isfinite(metres) & (metres > 0)
    return np.where(valid, metres, np.float32(0.0)).astype(np.float32)


def _unknown(encoding: str, known: tuple[str, ...], what: str) -> DataError:
    return DataError.from_parts(
        what, f"encoding {encoding!r}", " ".join(known), "convert the topic to one of these"
    )
