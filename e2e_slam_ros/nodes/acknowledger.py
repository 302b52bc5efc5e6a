"""The `processed` topic: which images are done with, for players in lock-step."""

from __future__ import annotations

import threading

from rclpy.node import Node
from std_msgs.msg import Header

from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp


class Acknowledger:
    """Publishes an image's header once everything about it is done. Thread-safe."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Header, "processed", reliable(100))
        self._lock = threading.Lock()
        self._open: dict[int, str] = {}

    def begin(self, stamp_ns: int, frame_id: str) -> None:
        """Note that work on an image has begun."""
        with self._lock:
            self._open[stamp_ns] = frame_id

    def done(self, stamp_ns: int) -> None:
        """Publish that the work on an image has ended, fused or refused."""
        with self._lock:
            frame_id = self._open.pop(stamp_ns, "")
        self._publisher.publish(Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id))

    def forget(self, stamp_ns: int) -> None:
        """Leave the answer for an image to another node."""
        with self._lock:
            self._open.pop(stamp_ns, None)

    def again(self, stamp_ns: int) -> None:
        """Answer an image that came a second time: at once, unless work on it goes on."""
        with self._lock:
            busy = stamp_ns in self._open
        if not busy:
            self.done(stamp_ns)

    def open_stamps(self) -> tuple[int, ...]:
        """Return the images whose work goes on."""
        with self._lock:
            return tuple(self._open)
