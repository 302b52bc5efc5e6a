"""Association of depth images with colour images, while both arrive."""

from __future__ import annotations

import bisect

from sensor_msgs.msg import Image

from e2e_slam_ros.nodes.pose_buffer import LOOP_NS
from e2e_slam_ros.nodes.stamps import stamp_to_ns


class DepthMatcher:
    """The last ``size`` depth images (1.2 MB each at 640x480), in stamp order."""

    def __init__(self, size: int = 16) -> None:
        self._size = size
        self._images: list[tuple[int, Image]] = []

    def add(self, msg: Image) -> None:
        """Keep a depth image. It replaces one with the same stamp."""
        stamp_ns = stamp_to_ns(msg.header.stamp)
        if self._images and stamp_ns < self._images[-1][0] - LOOP_NS:
            self.clear()
        at = bisect.bisect_left(self._images, stamp_ns, key=_stamp)
        if at < len(self._images) and self._images[at][0] == stamp_ns:
            self._images[at] = (stamp_ns, msg)
            return
        self._images.insert(at, (stamp_ns, msg))
        if len(self._images) > self._size:
            del self._images[0]

    def match(self, stamp_ns: int, tolerance_ns: int, last_chance: bool) -> Image | None:
        """Return the depth image nearest to a stamp within the tolerance, or None.

        A depth image with exactly that stamp is returned at once. Any other image is returned only
        after a later one has arrived, or with ``last_chance``, because a nearer one may still
        arrive.
        """
        if not self._images:
            return None
        nearest_ns, nearest = min(self._images, key=lambda item: abs(item[0] - stamp_ns))
        if abs(nearest_ns - stamp_ns) > tolerance_ns:
            return None
        settled = nearest_ns == stamp_ns or self._images[-1][0] > stamp_ns
        return nearest if settled or last_chance else None

    def passed(self, stamp_ns: int, tolerance_ns: int) -> bool:
        """Return whether a depth image beyond the tolerance has arrived.

        Waiting is then useless.
        """
        return bool(self._images) and self._images[-1][0] > stamp_ns + tolerance_ns

    def restart(self, stamp_ns: int) -> None:
        """Handle a jump back in time to ``stamp_ns``.

        Images with far later stamps belong to the round before the jump. They are dropped.
        """
        keep = bisect.bisect_right(self._images, stamp_ns + LOOP_NS, key=_stamp)
        del self._images[keep:]

    def clear(self) -> None:
        """Forget every depth image."""
        self._images.clear()


def _stamp(item: tuple[int, Image]) -> int:
    return item[0]
