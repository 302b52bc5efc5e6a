"""A keyframe that has no final answer yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class OpenKeyframe(Generic[T]):
    """A keyframe that was sent or waits to be sent, and the history of its sending.

    Attributes:
        item: what is sent.
        sent_s: monotonic time it was last sent at; None if nobody could take it.
        tries: times it was sent since nothing was answered for a while.
        missed: times it was sent, and one sent after it was fused before it.
        returning: it was sent before or while nothing was answered.

    Example:
        >>> keyframe = OpenKeyframe("image", sent_s=3.0)
        >>> keyframe.was_missed()
        >>> keyframe.was_missed()  # sent once, missed once
        >>> keyframe.missed
        1
    """

    item: T
    sent_s: float | None = None
    tries: int = 0
    missed: int = 0
    returning: bool = False
    _counted_s: float | None = None

    def was_missed(self) -> None:
        """Count that it was missed, once for each time it was sent."""
        self.missed += self._counted_s != self.sent_s
        self._counted_s = self.sent_s
