"""Image messages (ROS 1 or 2, raw or compressed) as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.bag_topics import COMPRESSED_IMAGE
from e2e_slam_ros.data.encodings import (
    RawImage,
    decode_color,
    decode_compressed_color,
    decode_compressed_depth,
    decode_depth,
    is_depth_encoding,
)


def carries_depth(message: Any, kind: str, topic: str) -> bool:
    """Return whether an image is depth. 16-bit grey is depth only if the topic's name says so."""
    encoding = str(message.format if kind == COMPRESSED_IMAGE else message.encoding)
    if is_depth_encoding(encoding):
        return True
    return "depth" in topic.lower() and ("mono16" in encoding or "png" in encoding.lower())


def color_of_message(message: Any, kind: str, what: str) -> npt.NDArray[np.uint8]:
    """Return an Image or CompressedImage as (H, W, 3) uint8 RGB.

    Raises:
        DataError: the message cannot be decoded as a colour image.
    """
    if kind == COMPRESSED_IMAGE:
        return decode_compressed_color(message.data, what)
    return decode_color(RawImage.of(message), what)


def depth_of_message(message: Any, kind: str, what: str) -> npt.NDArray[np.float32]:
    """Return an Image or CompressedImage as (H, W) float32 metres.

    Raises:
        DataError: the message cannot be decoded as a depth image.
    """
    if kind == COMPRESSED_IMAGE:
        return decode_compressed_depth(str(message.format), message.data, what)
    return decode_depth(RawImage.of(message), what)
