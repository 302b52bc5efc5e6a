"""Finds the reason why no images arrive."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from e2e_slam_ros.data.stream import COMPRESSED_IMAGE, IMAGE

_CHECK_PERIOD_S = 1.0


class SilenceWatch:
    """Reports the likely reason of a silence, once for each silence.

    Args:
        reliable: whether the subscription is reliable.
        limit_s: seconds of silence before a report; 0 means never.
        kind: message type of the subscription.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        reliable: bool,
        limit_s: float,
        report: Callable[[str], None],
        kind: str = IMAGE,
    ) -> None:
        self._kind = kind
        self.limit_s = limit_s
        self._node = node
        self._topic = node.resolve_topic_name(topic)
        self._reliable = reliable
        self._report = report
        self._last_s = time.monotonic()
        self._said = False
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_CHECK_PERIOD_S, self.check, clock=steady)

    def heard(self) -> None:
        """Record that an image arrived."""
        self._last_s = time.monotonic()
        self._said = False

    def check(self) -> None:
        """Report a silence longer than the limit."""
        silent_s = time.monotonic() - self._last_s
        if self._said or self.limit_s <= 0 or silent_s < self.limit_s:
            return
        self._said = True
        self._report(f"no image for {silent_s:.0f} s: {self.reason()}")

    def _others(self) -> str:
        """Return the image topics that there are."""
        found = []
        for name, kinds in self._node.get_topic_names_and_types():
            for kind in kinds:
                if kind in (IMAGE, COMPRESSED_IMAGE) and self._node.count_publishers(name):
                    transport = " with camera.transport: compressed" * (kind != IMAGE)
                    found.append(f"{name}{transport}")
        return f"; there are {', '.join(sorted(found))}" if found else ""

    def reason(self) -> str:
        """Return the likely reason, judged from the publishers and their QoS."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        if not publishers:
            return (
                f"nobody publishes {self._topic}; start the camera or remap camera/image_raw"
                f"{self._others()}"
            )
        types = {info.topic_type for info in publishers}
        if self._kind not in types:
            return f"{self._topic} carries {', '.join(types)}, expected {self._kind}"
        offered = {info.qos_profile.reliability for info in publishers}
        if self._reliable and ReliabilityPolicy.RELIABLE not in offered:
            return (
                f"{self._topic} is published best effort and subscribed reliable (policy "
                "RELIABILITY); set runtime.reliability to best_effort"
            )
        return f"{self._topic} has a publisher that sends nothing, or the network loses it"
