"""A bounded, evenly spread sample of a sequence of unknown length."""

from __future__ import annotations

from typing import Generic, TypeVar

Item = TypeVar("Item")


class EvenSample(Generic[Item]):
    """Keep between ``size`` and ``2 * size`` evenly spaced items of all that were offered.

    Every ``stride``-th item is kept; when ``2 * size`` are held, every other one is let go and
    the stride doubles. Memory stays bounded and no random numbers are needed, so that equal
    runs keep equal samples.

    >>> sample: EvenSample[int] = EvenSample(2)
    >>> for number in range(9):
    ...     sample.offer(number)
    >>> sample.chosen()
    [0, 8]
    """

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
        self._stride = 1
        self._offered = 0
        self._kept: list[Item] = []

    def wants_next(self) -> bool:
        """Return True when the next item offered will be kept."""
        return self._offered % self._stride == 0

    def skip(self) -> None:
        """Count an item that is not offered because it would not be kept."""
        self._offered += 1

    def offer(self, item: Item) -> None:
        """Offer the next item."""
        if self.wants_next():
            self._kept.append(item)
        self._offered += 1
        if len(self._kept) >= 2 * self._size:
            self._kept = self._kept[::2]
            self._stride *= 2

    def items(self) -> list[Item]:
        """Return everything kept, in order."""
        return list(self._kept)

    def chosen(self) -> list[Item]:
        """Return at most ``size`` of them, evenly spaced, the first and last kept included."""
        last, count = len(self._kept) - 1, self._size
        if last < count or count == 1:
            return self._kept[:count]
        return [self._kept[round(i * last / (count - 1))] for i in range(count)]
