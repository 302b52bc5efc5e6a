"""The `processed` topic. It tells players in lock-step which images are finished."""

from __future__ import annotations

import threading

from rclpy.node import Node
from std_msgs.msg import Header

from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp


class Acknowledger:
    """Publishes the header of an image when all work on it is finished. Thread-safe."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Header, "processed", reliable(100))
        self._lock = threading.Lock()
        self._open: dict[int, str] = {}

    def begin(self, stamp_ns: int, frame_id: str) -> None:
        """Record that work on an image has begun."""
        with self._lock:
            self._open[stamp_ns] = frame_id

    def done(self, stamp_ns: int) -> None:
        """Publish that the work on an image has ended. The image was fused or refused."""
        with self._lock:
            frame_id = self._open.pop(stamp_ns, "")
        self._publisher.publish(Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id))

    def forget(self, stamp_ns: int) -> None:
        """Leave the answer for an image to another node."""
        with self._lock:
            self._open.pop(stamp_ns, None)

    def again(self, stamp_ns: int) -> None:
        """Answer an image that arrived a second time, unless its work is still in progress."""
        with self._lock:
            busy = stamp_ns in self._open
        if not busy:
            self.done(stamp_ns)

    def open_stamps(self) -> tuple[int, ...]:
        """Return the stamps of the images whose work is in progress."""
        with self._lock:
            return tuple(self._open)
