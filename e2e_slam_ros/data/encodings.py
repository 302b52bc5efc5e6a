"""Pixels of ROS image messages as NumPy arrays, without ROS.

Encoding names are those of sensor_msgs/image_encodings.hpp. Depth follows REP 118: 16UC1 is in
millimetres with 0 = invalid, 32FC1 in metres with NaN = invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError

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
    "rgb16": _Layout("u2", 3, (0, 1, 2)),
    "bgr16": _Layout("u2", 3, (2, 1, 0)),
    "16UC3": _Layout("u2", 3, (2, 1, 0)),
    "rgba16": _Layout("u2", 4, (0, 1, 2)),
    "bgra16": _Layout("u2", 4, (2, 1, 0)),
    "16UC4": _Layout("u2", 4, (2, 1, 0)),
    "mono8": _Layout("u1", 1),
    "8UC1": _Layout("u1", 1),
    "mono16": _Layout("u2", 1),
    # As a picture, 16-bit grey is grey whatever it was made for.
    "16UC1": _Layout("u2", 1),
}
# OpenCV names a mosaic by the second row and column, sensor_msgs by the first.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_MOSAICS = {
    f"bayer_{order}{bits}": (_Layout(f"u{bits // 8}", 1), code)
    for order, code in _BAYER.items()
    for bits in (8, 16)
}
_YUV422 = {
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
}
# A plane of luma, then pairs of chroma; nv24 has a pair for each pixel.
_PLANES = {
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
    "nv24": cv2.COLOR_YUV2RGB_NV12,
}
_DEPTH = {
    "16UC1": _Layout("u2", 1),
    "mono16": _Layout("u2", 1),
    "16SC1": _Layout("i2", 1),
    "32FC1": _Layout("f4", 1),
    "64FC1": _Layout("f8", 1),
}
LAYOUTS = {**_COLOR, **_DEPTH}
COLOR_ENCODINGS = (*_COLOR, *_MOSAICS, *_YUV422, *_PLANES)
DEPTH_ENCODINGS = tuple(_DEPTH)


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
    encoding = image.encoding
    if encoding in _MOSAICS:
        layout, code = _MOSAICS[encoding]
        return _eight_bits(_converted(_pixels(layout, image, what)[..., 0], code, what))
    if encoding in _YUV422:
        if image.width % 2:
            raise _odd(image, what)
        return _eight_bits(
            _converted(_pixels(_Layout("u1", 2), image, what), _YUV422[encoding], what)
        )
    if encoding in _PLANES:
        return _eight_bits(_converted(_planes(image, what), _PLANES[encoding], what))
    layout_or_none = _COLOR.get(encoding)
    if layout_or_none is None:
        raise _unknown(encoding, COLOR_ENCODINGS, what)
    pixels = _eight_bits(_pixels(layout_or_none, image, what))
    rgb = layout_or_none.rgb
    pixels = pixels[..., :3] if rgb == (0, 1, 2) else pixels[..., list(rgb)]
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def decode_depth(image: RawImage, what: str, factor: float = 0.0) -> npt.NDArray[np.float32]:
    """Return a raw depth image as (H, W) float32 metres, 0 = invalid.

    ``factor`` is counts per metre of integers; 0 means millimetres.

    Raises:
        DataError: not one of `DEPTH_ENCODINGS`, or fewer bytes than the size needs.

    >>> image = RawImage("16UC1", 2, 1, 4, False, bytes([0xE8, 0x03, 0, 0]))
    >>> decode_depth(image, "depth").tolist()
    [[1.0, 0.0]]
    """
    pixels = depth_view(image, what)
    if pixels.dtype.kind in "ui":
        counts = np.maximum(pixels, 0).astype(np.float32)
        return counts / np.float32(factor or MILLIMETRES_PER_METRE)
    return valid_metres(pixels.astype(np.float32))


def depth_view(image: RawImage, what: str) -> npt.NDArray[np.generic]:
    """Return a view (H, W) of a raw depth image as it is stored; see `decode_depth`."""
    layout = _DEPTH.get(image.encoding)
    if layout is None:
        raise _unknown(image.encoding, DEPTH_ENCODINGS, what)
    return _pixels(layout, image, what)[..., 0]


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


def _planes(image: RawImage, what: str) -> npt.NDArray[np.generic]:
    """Return luma above half-size chroma pairs, (H * 3 / 2, W) uint8, as OpenCV wants them."""
    width, height = image.width, image.height
    if width % 2 or height % 2:
        raise _odd(image, what)
    rows = height * 3 if image.encoding == "nv24" else height * 3 // 2
    planes = _pixels(_Layout("u1", 1), image._replace(height=rows), what)[..., 0]
    if image.encoding != "nv24":
        return planes
    chroma = planes[height:].reshape(height, width, 2)[::2, ::2]
    return np.concatenate([planes[:height], chroma.reshape(height // 2, width)])


def _converted(pixels: npt.NDArray[np.generic], code: int, what: str) -> npt.NDArray[np.generic]:
    dense = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    try:
        return np.asarray(cv2.cvtColor(dense, code))
    except cv2.error as problem:
        raise DataError.from_parts(
            what, str(problem).strip(), "an image that OpenCV converts", "the message is damaged"
        ) from problem


def _eight_bits(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if pixels.dtype.itemsize == 1:
        return pixels  # type: ignore[return-value]
    return (pixels.astype(np.uint16) >> 8).astype(np.uint8)


def _odd(image: RawImage, what: str) -> DataError:
    return DataError.from_parts(
        what,
        f"{image.encoding} with width {image.width} and height {image.height}",
        "an even width, and an even height where chroma is halved",
        "the recording is damaged",
    )


def valid_metres(metres: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return metres with 0 where they are not finite or not positive."""
    valid = np.isfinite(metres) & (metres > 0)
    return np.where(valid, metres, np.float32(0.0)).astype(np.float32)


def _unknown(encoding: str, known: tuple[str, ...], what: str) -> DataError:
    return DataError.from_parts(
        what, f"encoding {encoding!r}", " ".join(known), "convert the topic to one of these"
    )
