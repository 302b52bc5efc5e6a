"""The head of ScanNet's .sens files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

# Version 4 of the format: little-endian, no padding.
VERSION = 4
COLOUR = {0: "raw", 1: "png", 2: "jpeg"}
DEPTH = {0: "raw", 1: "zlib"}
_MATRICES, _SIZES = struct.Struct("<64f"), struct.Struct("<iiIIIIfQ")
_LONGEST_NAME, _MOST_SIDE = 4096, 8192


@dataclass(frozen=True, eq=False)
class SensHeader:
    """The head of a .sens file.

    Attributes:
        matrices: (4, 4, 4) intrinsics and extrinsics of colour, then of depth.
        colour, depth: how the images are compressed: keys of the format.
        colour_size, depth_size: width and height.
        factor: depth counts per metre.
        count: number of frames that the file says it has.
        end: place of the first frame.

    >>> SensHeader(np.zeros((4, 4, 4)), 2, 1, (8, 6), (8, 6), 1000.0, 0, 0).count
    0
    """

    matrices: npt.NDArray[np.float64]
    colour: int
    depth: int
    colour_size: tuple[int, int]
    depth_size: tuple[int, int]
    factor: float
    count: int
    end: int

    @classmethod
    def read(cls, stream: BinaryIO) -> SensHeader:
        """Read the head of a file.

        Raises:
            ValueError: another version, or numbers that cannot be.
        """
        version, length = struct.unpack("<IQ", exactly(stream, 12))
        if version != VERSION:
            raise ValueError(f"version {version}")
        if length > _LONGEST_NAME:
            raise ValueError(f"a sensor name of {length} letters")
        exactly(stream, length)
        matrices = np.array(_MATRICES.unpack(exactly(stream, _MATRICES.size)), dtype=np.float64)
        colour, depth, *sizes, factor, count = _SIZES.unpack(exactly(stream, _SIZES.size))
        if any(not 0 < side <= _MOST_SIDE for side in sizes):
            raise ValueError(f"images of {sizes} pixels")
        if colour not in COLOUR or depth not in DEPTH:
            raise ValueError(f"compressions {colour} and {depth}")
        pairs = (sizes[0], sizes[1]), (sizes[2], sizes[3])
        return cls(matrices.reshape(4, 4, 4), colour, depth, *pairs, factor, count, stream.tell())


def exactly(stream: BinaryIO, count: int) -> bytes:
    """Return so many bytes.

    Raises:
        ValueError: the file ends before.
    """
    content = stream.read(count)
    if len(content) < count:
        raise ValueError(f"{len(content)} of {count} bytes")
    return content
