"""Frames that wait for their depth images."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from sensor_msgs.msg import CompressedImage, Image

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.nodes.camera_frame import CameraFrame
from e2e_slam_ros.nodes.depth_matcher import DepthMatcher

T = TypeVar("T")
OnMatched = Callable[[CameraFrame, T, Image | CompressedImage | None], None]


class DepthWait(Generic[T]):
    """Frames in order, each handed on with its depth image, or without one after a while.

    Not thread-safe. The executor thread owns it.

    Args:
        depths: the depth images that came.
        awaits_depth: depth images come at all; false: frames are handed on at once.
        on_matched: takes a frame, what was added with it, and its depth image or None. It must
            not raise.

    Attributes:
        config: ``depth.wait_s`` and ``depth.sync_tolerance_s``; may be replaced.
    """

    def __init__(self, depths: DepthMatcher, awaits_depth: bool, on_matched: OnMatched[T]) -> None:
        self.config = DepthConfig()
        self._depths = depths
        self._awaits_depth = awaits_depth
        self._on_matched = on_matched
        self._waiting: deque[tuple[CameraFrame, T, float]] = deque()

    def add(self, frame: CameraFrame, item: T) -> None:
        """Add a frame, and what belongs to it."""
        self._waiting.append((frame, item, time.monotonic() + self.config.wait_s))
        self.poll()

    def poll(self) -> None:
        """Hand on the frames whose depth has come, or has been waited for long enough."""
        while self._waiting:
            frame, item, deadline_s = self._waiting[0]
            msg, may_come = self._match(frame.stamp_ns, deadline_s)
            if msg is None and may_come:
                return
            self._waiting.popleft()
            self._on_matched(frame, item, msg)

    def clear(self) -> None:
        """Forget the frames that wait."""
        self._waiting.clear()

    def _match(
        self, stamp_ns: int, deadline_s: float
    ) -> tuple[Image | CompressedImage | None, bool]:
        """Return the depth image of a stamp or None, and whether it may still come."""
        tolerance_ns = round(self.config.sync_tolerance_s * 1e9)
        last_chance = time.monotonic() >= deadline_s
        msg = self._depths.match(stamp_ns, tolerance_ns, last_chance)
        in_vain = last_chance or self._depths.passed(stamp_ns, tolerance_ns)
        return msg, self._awaits_depth and not in_vain
