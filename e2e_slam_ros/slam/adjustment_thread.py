"""The thread that adjusts the tracker's keyframes, and the queue before it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from e2e_slam_ros.data.frame import Frame

# Longest time that the adjustment of a keyframe waits for its measured depth, seconds.
_DEPTH_WAIT_S = 1.0
# A keyframe goes without a network's depth once so many newer ones wait.
_LATE = 2


class AdjustmentThread:
    """Gives the tracker's keyframes their depth and adjusts them, in turn.

    Offline there is no thread: everything is done at once, so that equal input gives equal poses.

    Args:
        give_depth: gives a keyframe its depth, where a network or nobody has to.
        adjust: adjusts all keyframes that are due.
        on_error: called from the thread with an error that cost a keyframe its adjustment.
        offline: work at once in the caller's thread.
        awaits_depth: depth is measured, and `measured` tells when it has come.

    Example:
        >>> done = []
        >>> thread = AdjustmentThread(
        ...     done.append, lambda: None, print, offline=True, awaits_depth=False
        ... )
        >>> thread.submit("a frame")
        >>> done
        ['a frame']
    """

    def __init__(
        self,
        give_depth: Callable[[Frame], None],
        adjust: Callable[[], None],
        on_error: Callable[[Exception], None],
        *,
        offline: bool,
        awaits_depth: bool,
    ) -> None:
        self._give_depth = give_depth
        self._adjust = adjust
        self._on_error = on_error
        self._awaits_depth = awaits_depth
        self._waiting: deque[Frame] = deque()
        self._condition = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        if not offline:
            self._thread = threading.Thread(target=self._run, name="pose-tracking", daemon=True)
            self._thread.start()

    def submit(self, frame: Frame) -> None:
        """Have a keyframe of the tracker adjusted, once it has depth."""
        if self._thread is not None:
            with self._condition:
                self._waiting.append(frame)
                self._condition.notify_all()
        elif not self._awaits_depth:
            self._give_depth(frame)
            self._adjust()

    def measured(self, stamp_ns: int) -> None:
        """Learn that the keyframe of a stamp has its measured depth, or goes without."""
        if self._thread is None:
            self._adjust()
            return
        with self._condition:
            self._waiting = deque(frame for frame in self._waiting if frame.stamp_ns > stamp_ns)
            self._condition.notify_all()

    def clear(self) -> None:
        """Forget the keyframes that wait."""
        with self._condition:
            self._waiting.clear()

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(10.0)

    def _run(self) -> None:
        """Adjust keyframes in turn (own thread)."""
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                frame = self._waiting[0]
                if self._awaits_depth:
                    # `measured` takes the frame away.
                    self._condition.wait_for(partial(self._settled, frame), _DEPTH_WAIT_S)
                if frame in self._waiting:
                    self._waiting.remove(frame)
                # The newest keyframe's landmarks carry the camera: old ones may go without depth.
                is_late = len(self._waiting) >= _LATE
            try:
                if not is_late:
                    self._give_depth(frame)
                self._adjust()
            except Exception as error:
                # One bad keyframe must not end the thread: nothing would be adjusted any more.
                self._on_error(error)

    def _settled(self, frame: Frame) -> bool:
        return self._stopping or frame not in self._waiting
