"""The first message of an image topic, judged by the input policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CompressedImage

from e2e_slam_ros.data.packet_video import can_decode
from e2e_slam_ros.data.stream import COMPRESSED_IMAGE, IMAGE, stream_of_message
from e2e_slam_ros.data.stream_verdict import judge

# A frame_id may be of any length.
_LONGEST = 300


class StreamCheck:
    """Says once if a topic that a node uses is not what the policy of recordings takes it for.

    Args:
        topic: name after remapping.
        role: what the node uses it as: "colour" or "depth".
        notice: called at most once, with a sentence.
    """

    def __init__(self, topic: str, role: str, notice: Callable[[str], None]) -> None:
        self._topic, self._role, self._notice = topic, role, notice
        self._done = False

    def look(self, message: Any) -> None:
        """Judge the first message; later ones cost nothing."""
        if self._done:
            return
        self._done = True
        kind = COMPRESSED_IMAGE if isinstance(message, CompressedImage) else IMAGE
        verdict = judge(stream_of_message(self._topic, kind, message), can_decode())
        if verdict.role != self._role:
            found = "neither colour nor depth" if verdict.role == "none" else verdict.role
            self._notice(
                f"{self._topic} is used as {self._role}, and looks like {found}: "
                f"{verdict.sentence()[:_LONGEST]}; check what is remapped to it"
            )
