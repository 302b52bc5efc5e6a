"""Camera frames between keyframes: further views of a keyframe's scene."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe

# Frames kept. At camera rate these are the last ones that moved.
_KEPT = 8


class BetweenFrames:
    """The last camera frames that became no keyframe, each some way from the one before.

    `offer` may be called from another thread than `before`. A frame is turned into tensors only
    when a keyframe asks for it.

    Args:
        min_baseline_m: least distance between the cameras of two kept frames, metres.
        prepare: makes a view of a frame; a frame for which it raises `E2ESlamError` is left out.

    >>> from e2e_slam_ros.data.between_frames import BetweenFrames
    >>> BetweenFrames(0.03, prepare=lambda frame: None).before(stamp_ns=0, count=3)
    ()
    """

    def __init__(self, min_baseline_m: float, prepare: Callable[[Frame], Keyframe]) -> None:
        self._min_baseline_m = min_baseline_m
        self._prepare = prepare
        self._frames: deque[Frame] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._views: dict[int, Keyframe] = {}

    def offer(self, frame: Frame) -> None:
        """Keep a frame with a pose if it moved since the last one that was kept."""
        assert frame.T_map_camera is not None
        with self._lock:
            if self._frames:
                last = self._frames[-1].T_map_camera
                assert last is not None
                moved = np.linalg.norm(frame.T_map_camera[:3, 3] - last[:3, 3])
                if moved < self._min_baseline_m:
                    return
            self._frames.append(frame)

    def before(self, stamp_ns: int, count: int) -> tuple[Keyframe, ...]:
        """Return up to ``count`` views earlier than a stamp, the newest first."""
        with self._lock:
            frames = [f for f in reversed(self._frames) if f.stamp_ns < stamp_ns][:count]
        views = {}
        for frame in frames:
            try:
                view = self._views.get(frame.stamp_ns) or self._prepare(frame)
            except E2ESlamError:
                continue
            views[frame.stamp_ns] = view
        self._views = views
        return tuple(views.values())

    def forget_views(self) -> None:
        """Make views of the frames anew: their poses may have been corrected."""
        self._views = {}

    def clear(self) -> None:
        """Forget all frames."""
        with self._lock:
            self._frames.clear()
        self._views = {}
