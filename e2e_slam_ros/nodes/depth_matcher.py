"""Association of depth images with colour images, while both arrive."""

from __future__ import annotations

from sensor_msgs.msg import Image

from e2e_slam_ros.nodes.stamped_buffer import StampedBuffer
from e2e_slam_ros.nodes.stamps import stamp_to_ns


class DepthMatcher(StampedBuffer[Image]):
    """The last ``size`` depth images (1.2 MB each at 640x480), in stamp order."""

    def __init__(self, size: int = 16) -> None:
        super().__init__(size)

    def add(self, msg: Image) -> None:
        """Keep a depth image. It replaces one with the same stamp."""
        self.put(stamp_to_ns(msg.header.stamp), msg)

    def match(self, stamp_ns: int, tolerance_ns: int, last_chance: bool) -> Image | None:
        """Return the depth image nearest to a stamp within the tolerance, or None.

        A depth image with exactly that stamp is returned at once. Any other image is returned only
        after a later one has arrived, or with ``last_chance``, because a nearer one may still
        arrive.
        """
        if not self._items:
            return None
        distances = [abs(stamp - stamp_ns) for stamp in self._stamps_ns]
        nearest = distances.index(min(distances))
        if distances[nearest] > tolerance_ns:
            return None
        settled = distances[nearest] == 0 or self.passed(stamp_ns)
        return self._items[nearest] if settled or last_chance else None
