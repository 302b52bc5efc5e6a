"""Pixels of CompressedImage messages as NumPy arrays, without ROS."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.encodings import MILLIMETRES_PER_METRE, valid_metres
from e2e_slam_ros.data.images import read_color, read_counts
from e2e_slam_ros.data.rvl import decode_rvl

# Header of compressed_depth_image_transport: format number and two quantisation terms.
_COMPRESSED_DEPTH_HEADER = struct.Struct("<iff")


def decode_compressed_color(data: object, what: str, form: str = "") -> npt.NDArray[np.uint8]:
    """Return a CompressedImage (JPEG or PNG) as (H, W, 3) uint8 RGB.

    Raises:
        DataError: the bytes are no such image; ``form`` is the message's format.
    """
    content = bytes(memoryview(data))  # type: ignore[arg-type]
    if not content.startswith((b"\xff\xd8", b"\x89PNG")):
        raise DataError.from_parts(
            f"image {what}",
            f"format {form or 'unnamed'!r} of {len(content)} bytes",
            "a JPEG or PNG image",
            "record the raw images, or as JPEG: image_transport republish decodes videos",
        )
    return read_color(content, what)


def decode_compressed_depth(
    image_format: str, data: object, what: str, factor: float = 0.0
) -> npt.NDArray[np.float32]:
    """Return a CompressedImage of depth as (H, W) float32 metres, 0 = invalid.

    Two formats are read. The ``compressedDepth`` transport holds PNG or RVL of 16UC1, or of 32FC1
    quantised as inverse depth: depth = a / (count - b). The other format is plain 16-bit PNG.

    Args:
        factor: counts per metre of 16UC1; 0 means millimetres.

    Raises:
        DataError: another format, or damaged bytes.
    """
    content = bytes(memoryview(data))  # type: ignore[arg-type]
    per_metre = np.float32(factor or MILLIMETRES_PER_METRE)
    if content.startswith(b"\x89PNG"):
        return read_counts(content, what).astype(np.float32) / per_metre
    if len(content) < _COMPRESSED_DEPTH_HEADER.size or content.startswith(b"\xff\xd8"):
        raise DataError.from_parts(
            what,
            f"format {image_format!r} of {len(content)} bytes",
            "compressedDepth with PNG or RVL, or 16-bit PNG",
            "record it as PNG or raw (JPEG loses the depth)",
        )
    _, a, b = _COMPRESSED_DEPTH_HEADER.unpack_from(content)
    packed = content[_COMPRESSED_DEPTH_HEADER.size :]
    counts = _unpacked(packed, image_format, what)
    if "32FC1" not in image_format:
        return counts.astype(np.float32) / per_metre
    with np.errstate(all="ignore"):
        metres = np.float32(a) / (counts.astype(np.float32) - np.float32(b))
    return valid_metres(np.where(counts > 0, metres, np.float32(0.0)).astype(np.float32))


def _unpacked(packed: bytes, image_format: str, what: str) -> npt.NDArray[np.uint16]:
    if packed.startswith(b"\x89PNG") or "rvl" not in image_format.lower():
        return read_counts(packed, what)
    try:
        return decode_rvl(packed)
    except ValueError as problem:
        raise DataError.from_parts(
            what, f"RVL with {problem}", "a whole RVL stream", "the recording is damaged"
        ) from problem
