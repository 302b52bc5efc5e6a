"""Image messages (ROS 1 or 2, raw or compressed) as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.compressed import decode_compressed_color, decode_compressed_depth
from e2e_slam_ros.data.encodings import RawImage, decode_color, decode_depth
from e2e_slam_ros.data.stream import COMPRESSED_IMAGE


def color_of_message(message: Any, kind: str, what: str) -> npt.NDArray[np.uint8]:
    """Return an Image or CompressedImage as (H, W, 3) uint8 RGB.

    Raises:
        DataError: the message cannot be decoded as a colour image.
    """
    if kind == COMPRESSED_IMAGE:
        return decode_compressed_color(message.data, what, str(message.format))
    return decode_color(RawImage.of(message), what)


def depth_of_message(
    message: Any, kind: str, what: str, factor: float = 0.0
) -> npt.NDArray[np.float32]:
    """Return an Image or CompressedImage as (H, W) float32 metres.

    ``factor`` is counts per metre of integer depth; 0 means millimetres.

    Raises:
        DataError: the message cannot be decoded as a depth image.
    """
    if kind == COMPRESSED_IMAGE:
        return decode_compressed_depth(str(message.format), message.data, what, factor)
    return decode_depth(RawImage.of(message), what, factor)
