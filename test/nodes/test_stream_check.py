"""A live topic that is not what it is used as is named, once."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage

from e2e_slam_ros.nodes.conversions import image_message
from e2e_slam_ros.nodes.stream_check import StreamCheck

GREY = np.zeros((3, 4), np.uint8)


@pytest.mark.parametrize(
    ("topic", "role", "pixels", "encoding", "words"),
    [
        ("/camera/color/image_raw", "colour", np.zeros((3, 4, 3), np.uint8), "rgb8", None),
        ("/camera/depth/image_raw", "depth", np.ones((3, 4), np.uint16), "16UC1", None),
        ("/camera/depth/image_raw", "colour", np.ones((3, 4), np.uint16), "16UC1", "like depth"),
        ("/camera/confidence", "depth", np.full((3, 4), 99, np.float32), "32FC1", "neither"),
        ("/camera/depth/image_raw", "depth", GREY, "mono8", "its depth is lost"),
    ],
)
def test_what_it_looks_like_is_said_once(
    topic: str, role: str, pixels: np.ndarray, encoding: str, words: str | None
) -> None:
    said: list[str] = []
    check = StreamCheck(topic, role, said.append)
    for _ in range(3):
        check.look(image_message(pixels, encoding, Time(), "camera"))
    assert len(said) == (words is not None)
    if words is not None:
        assert words in said[0] and topic in said[0] and "check what is remapped" in said[0]


def test_damaged_first_messages_are_no_error() -> None:
    said: list[str] = []
    for data in (b"", b"\xff\xd8\xff", bytes(50)):
        message = CompressedImage(format="x" * 10_000, data=data)
        StreamCheck("/camera/image_raw/compressed", "colour", said.append).look(message)
    # The first bytes of a JPEG are believed.
    assert len(said) == 2 and all(len(text) < 600 for text in said)
