"""Images that were sent and did not arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

KIND = "lost_images"
_PERIOD_S = 5.0
# Distances between stamps that tell the camera's rate.
_DISTANCES = (10, 60)
# A longer distance is a stream that stood still.
_STANDSTILL_NS = 2_000_000_000
# Losses below this share, and below this number, are left to the counts.
_SHARE, _FEW = 0.02, 3


class LostImages:
    """Counts lost images in two ways, and says what helps.

    The middleware tells of messages that it lost on the way, where it can. Gaps in the stamps of
    a camera with a steady rate show what was lost anywhere, in the driver too.

    Args:
        node: its timer looks every few seconds.
        topic: of the images.
        report: called with a sentence when more than a few per cent were lost.

    Attributes:
        in_gaps: number of images that the stamps lack.
        on_the_way: number of images and depth images that the middleware lost.
    """

    def __init__(self, node: Node, topic: str, report: Callable[[str], None]) -> None:
        self.in_gaps = self.on_the_way = 0
        self._topic = topic
        self._report = report
        self._distances: deque[int] = deque(maxlen=_DISTANCES[1])
        self._last_ns = 0
        self._received = 0
        self._told = (0, 0)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, self.check, clock=steady)

    def subscribe(
        self, node: Node, kind: type, topic: str, receive: Callable[..., None], qos: QoSProfile
    ) -> Any:
        """Subscribe to images, and learn of lost messages where the middleware can tell."""
        events = SubscriptionEventCallbacks(message_lost=self.on_event)
        try:
            return node.create_subscription(kind, topic, receive, qos, event_callbacks=events)
        except UnsupportedEventTypeError:
            return node.create_subscription(kind, topic, receive, qos)

    def heard(self, stamp_ns: int) -> None:
        """Take the stamp of an image that arrived."""
        distance, self._last_ns = stamp_ns - self._last_ns, stamp_ns
        self._received += 1
        if not 0 < distance < _STANDSTILL_NS:
            return
        if len(self._distances) >= _DISTANCES[0]:
            steps = distance / self._usual
            if steps > 1.5:
                self.in_gaps += round(steps) - 1
        self._distances.append(distance)

    @property
    def _usual(self) -> int:
        """Distance of the camera's images: a low one, for the usual one may lack some already."""
        return sorted(self._distances)[len(self._distances) // 10]

    def on_event(self, event: Any) -> None:
        """Take an event ``message_lost`` of a subscription."""
        self.on_the_way += event.total_count_change

    def check(self) -> None:
        """Report if much was lost since the last time."""
        gaps, on_the_way = self.in_gaps - self._told[0], self.on_the_way - self._told[1]
        lost = max(gaps, on_the_way)
        if lost >= _FEW and lost > _SHARE * (self._received + lost):
            do = (
                "give the camera driver more shared memory (config/fastdds_driver.xml, see "
                "docs/ros.md)"
                if on_the_way
                else "the node is slower than the camera, or the driver leaves images out: lower "
                "the camera's rate or size"
            )
            self._report(
                f"images of {self._topic} in the last {_PERIOD_S:.0f} s: got {self._received}, "
                f"{gaps} missing by their stamps, {on_the_way} images and depth images lost on "
                f"the way, expected every image; {do}"
            )
        self._told = self.in_gaps, self.on_the_way
        self._received = 0
