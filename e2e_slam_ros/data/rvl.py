"""Depth in the RVL format of compressed_depth_image_transport.

Wilson, "Fast Lossless Depth Image Compression", 2017: runs of zeros and of others; the others as
differences to the last value, each as groups of three bits.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

_SIZE = struct.Struct("<II")
_MOST_PIXELS = 1 << 24


def decode_rvl(data: bytes) -> npt.NDArray[np.uint16]:
    """Return the counts (H, W) of a stream that begins with its width and height.

    Raises:
        ValueError: the stream is damaged, or of more than 16 million pixels.

    >>> decode_rvl(struct.pack("<III", 2, 1, 0x01410000)).tolist()
    [[2, 0]]
    """
    if len(data) < _SIZE.size:
        raise ValueError("no size")
    width, height = _SIZE.unpack_from(data)
    pixels = width * height
    if not 0 < pixels <= _MOST_PIXELS:
        raise ValueError(f"size {width}x{height}")
    values = _groups(data[_SIZE.size :])
    result = np.zeros(pixels, dtype=np.int64)
    where, deltas = [], []
    place, filled = 0, 0
    # One step for each run, not for each pixel.
    while filled < pixels:
        if place + 1 >= len(values):
            break  # the encoder may leave out a last run of nothing
        filled += int(values[place])
        count = int(values[place + 1])
        place += 2
        if filled + count > pixels or place + count > len(values):
            raise ValueError(f"a run of {count} at pixel {filled} of {pixels}")
        where.append(np.arange(filled, filled + count))
        deltas.append(values[place : place + count])
        filled, place = filled + count, place + count
    if filled < pixels and (place >= len(values) or filled + int(values[place]) < pixels):
        raise ValueError(f"{filled} of {pixels} pixels")
    if deltas:
        zigzag = np.concatenate(deltas)
        result[np.concatenate(where)] = np.cumsum((zigzag >> 1) ^ -(zigzag & 1))
    return (result & 0xFFFF).astype(np.uint16).reshape(height, width)


def _groups(data: bytes) -> npt.NDArray[np.int64]:
    """Return the numbers of a stream: four bits each, of which the first says "more"."""
    words = np.frombuffer(data[: len(data) // 4 * 4], dtype="<u4")
    shifts = np.arange(28, -4, -4, dtype=np.uint32)
    nibbles = ((words[:, None] >> shifts) & 0xF).astype(np.int64).reshape(-1)
    last = np.flatnonzero((nibbles & 8) == 0)
    if not len(last):
        return np.zeros(0, dtype=np.int64)
    nibbles = nibbles[: last[-1] + 1]
    starts = np.concatenate([[0], last[:-1] + 1])
    position = np.arange(len(nibbles)) - np.repeat(starts, np.diff([*starts, len(nibbles)]))
    # 16-bit counts and runs of up to 16 million pixels need at most nine groups.
    return np.add.reduceat((nibbles & 7) << np.minimum(3 * position, 60), starts)
