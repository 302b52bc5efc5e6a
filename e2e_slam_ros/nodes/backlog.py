"""The keyframes that wait for their turn, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

# Keyframes that may wait, whatever the stages can do.
_FEW = 5


class Backlog:
    """Stamps in the order in which they are sent, and whether they become more and more.

    New keyframes queue behind those that wait. When all that waited at one time are sent, more may
    wait than before: the stages are slower than the camera. The oldest then make room, as a live
    stage works on the newest keyframe.

    Not thread-safe.

    Example:
        >>> backlog = Backlog()
        >>> backlog.restart([3, 4])
        >>> backlog.put_first([1])
        >>> backlog.append(5)
        >>> backlog.pop({3, 4, 5}), 4 in backlog, len(backlog)
        (3, True, 2)
    """

    def __init__(self) -> None:
        self._queue: deque[int] = deque()
        # How many waited at the last look, and the newest of them.
        self._looked: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self._queue)

    def __contains__(self, stamp_ns: int) -> bool:
        """Return whether a keyframe waits."""
        return stamp_ns in self._queue

    def restart(self, stamps: Iterable[int]) -> None:
        """Replace all by others."""
        self._queue = deque(stamps)
        self._look()

    def clear(self) -> None:
        """Forget all."""
        self.restart(())

    def append(self, stamp_ns: int) -> None:
        """Add one behind all others."""
        self._queue.append(stamp_ns)

    def put_first(self, stamps: Iterable[int]) -> None:
        """Put those that do not wait yet before all others, in the order given."""
        waiting = set(self._queue)
        self._queue.extendleft(reversed([s for s in stamps if s not in waiting]))

    def pop(self, known: Collection[int]) -> int | None:
        """Take the first one that is still known; None: there is none."""
        while self._queue:
            stamp_ns = self._queue.popleft()
            if stamp_ns in known:
                return stamp_ns
        return None

    def leave_behind(self, known: Collection[int]) -> list[int]:
        """Forget all but the newest, if more and more wait; return the forgotten ones."""
        if self._looked is None:
            self._look()
        if self._looked is None or self._looked[1] in self._queue:
            return []
        before = self._looked[0]
        self._queue = deque(stamp for stamp in self._queue if stamp in known)
        self._look()
        if len(self._queue) <= max(before, _FEW):
            return []
        *left, newest = self._queue
        self.restart([newest])
        return left

    def _look(self) -> None:
        self._looked = (len(self._queue), self._queue[-1]) if self._queue else None
