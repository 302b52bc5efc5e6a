"""The last messages of a stream in stamp order."""

from __future__ import annotations

import bisect
from typing import Generic, TypeVar

# A stamp this much older than the last one means that a recording started again.
LOOP_NS = 1_000_000_000
Item = TypeVar("Item")


class StampedBuffer(Generic[Item]):
    """The last ``size`` items, in stamp order. Not thread-safe: the executor thread owns it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._stamps_ns: list[int] = []
        self._items: list[Item] = []

    def put(self, stamp_ns: int, item: Item) -> None:
        """Keep an item. It replaces one with the same stamp.

        A stamp far older than the last one means that a recording starts again. The items of its
        last round are then dropped.
        """
        if self._stamps_ns and stamp_ns < self._stamps_ns[-1] - LOOP_NS:
            self.clear()
        at = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if self._stamps_ns[at : at + 1] == [stamp_ns]:
            self._items[at] = item
            return
        self._stamps_ns.insert(at, stamp_ns)
        self._items.insert(at, item)
        if len(self._stamps_ns) > self._size:
            del self._stamps_ns[0], self._items[0]

    def passed(self, stamp_ns: int, tolerance_ns: int = 0) -> bool:
        """Return whether an item beyond the tolerance has arrived. Waiting is then useless."""
        return bool(self._stamps_ns) and self._stamps_ns[-1] > stamp_ns + tolerance_ns

    def restart(self, stamp_ns: int) -> None:
        """Handle a jump back in time to ``stamp_ns``.

        Items with far later stamps belong to the round before the jump. They are dropped.
        """
        keep = bisect.bisect_right(self._stamps_ns, stamp_ns + LOOP_NS)
        del self._stamps_ns[keep:], self._items[keep:]

    def clear(self) -> None:
        """Forget every item."""
        self._stamps_ns.clear()
        self._items.clear()
