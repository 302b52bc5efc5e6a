"""The end of a playback in real time: what was sent is still in transit."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import Header

from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import stamp_to_ns

_TICK_S = 0.02
# An image may have been lost, and then nobody answers it.
_QUIET_S = 2.0


class LastAnswer:
    """Listens to ``processed``, on which the SLAM side answers every image. Any thread may ask.

    Args:
        on_answer: called with each stamp, in the executor thread; or None.
    """

    def __init__(self, node: Node, on_answer: Callable[[int], None] | None = None) -> None:
        self._node = node
        self._on_answer = on_answer
        self._newest_ns = -1
        self._heard_s = time.monotonic()
        self._subscription = node.create_subscription(
            Header, "processed", self._receive, reliable(100)
        )

    def wait(self, stamp_ns: int, stopping: Callable[[], bool]) -> None:
        """Wait until the image with that stamp is answered, or no more answers come.

        The caller sent it; whoever ends the SLAM side before loses it.
        """
        self._heard_s = time.monotonic()
        while self._newest_ns < stamp_ns and not stopping():
            if self._node.count_publishers("processed") == 0:
                return
            if time.monotonic() - self._heard_s > _QUIET_S:
                return
            time.sleep(_TICK_S)

    def _receive(self, msg: Header) -> None:
        self._newest_ns = stamp_to_ns(msg.stamp)
        self._heard_s = time.monotonic()
        if self._on_answer is not None:
            self._on_answer(self._newest_ns)
