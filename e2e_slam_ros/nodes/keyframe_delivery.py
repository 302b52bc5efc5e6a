"""Keyframes on their way to the other stages of a split system."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# Keyframes that are kept: about a megabyte each.
PLACES = 40
# A keyframe without an answer is sent again after this time, or after twice the time of the
# slowest answer so far, whichever is longer. Each further wait is twice as long.
_ANSWER_S = 1.0
_SLOWEST_S = 5.0
# Times a keyframe is sent before it is passed over.
_TRIES = 4


@dataclass
class _Open(Generic[T]):
    """A keyframe without an answer.

    Attributes:
        item: what is sent.
        sent_s: monotonic time it was last sent at; None if nobody could take it.
        tries: times it was sent while every stage was there.
    """

    item: T
    sent_s: float | None = None
    tries: int = 0


class KeyframeDelivery(Generic[T]):
    """Keeps keyframes until somebody answers for them, and sends again what was missed.

    While a stage is missing, keyframes are kept, the newest ``places``. When it is back, they are
    sent again in order, one at a time, so that the stages drop none; new ones queue behind.
    Stages map keyframes in the order of their arrival. A keyframe was missed if one sent after it
    is fused before it, or if no answer comes at all. It is sent again up to three times, and then
    passed over. Thread-safe.

    Args:
        send: sends a keyframe; any thread.
        on_lost: called with the stamp of a keyframe that had to make room.
        places: number of keyframes that are kept.

    Example:
        >>> sent: list[str] = []
        >>> delivery = KeyframeDelivery(sent.append, on_lost=print)
        >>> delivery.offer(1, "first", complete=False)  # nobody there maps it
        >>> delivery.again()
        >>> delivery.offer(2, "second", complete=True)
        >>> delivery.poll(complete=True)
        >>> sent
        ['first', 'first']
        >>> delivery.answered(1, fused=True)
        >>> delivery.poll(complete=True)
        >>> sent, delivery.unanswered
        (['first', 'first', 'second'], 1)
    """

    def __init__(
        self,
        send: Callable[[T], None],
        on_lost: Callable[[int], None],
        places: int = PLACES,
    ) -> None:
        self._send = send
        self._on_lost = on_lost
        self._places = places
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Open[T]] = OrderedDict()
        # Nobody ever answers where the stages are somebody else's.
        self._answers = False
        self._silent = False
        self._slowest_s = 0.0
        # When something was last sent or answered.
        self._active_s = 0.0
        self._queue: deque[int] = deque()
        # The one of the queue whose answer is waited for.
        self._flying: int | None = None

    @property
    def unanswered(self) -> int:
        """Number of keyframes without an answer."""
        return len(self._open)

    @property
    def kept(self) -> int:
        """Number of keyframes that are kept to be sent again."""
        queued = set(self._queue)
        return sum(open_.sent_s is None or s in queued for s, open_ in list(self._open.items()))

    def offer(self, stamp_ns: int, item: T, complete: bool) -> None:
        """Send a new keyframe, or queue it behind those that are sent again.

        Args:
            stamp_ns: its stamp.
            item: what is sent.
            complete: every stage is there. If not, others may still look at it.
        """
        with self._lock:
            open_ = self._open[stamp_ns] = _Open(item)
            queued = complete and (bool(self._queue) or self._flying is not None)
            if queued:
                self._queue.append(stamp_ns)
            elif complete:
                self._count(open_)
            lost = self._make_room()
        if not queued:
            self._send(item)
        for stamp in lost:
            self._on_lost(stamp)

    def answered(self, stamp_ns: int, fused: bool) -> None:
        """Forget a keyframe: it was mapped, dropped, or refused for good.

        Args:
            stamp_ns: its stamp.
            fused: it was mapped; whatever was sent before it and has no answer was missed.
        """
        with self._lock:
            self._answers, self._silent, self._active_s = True, False, time.monotonic()
            done = self._open.pop(stamp_ns, None)
            if self._flying == stamp_ns:
                self._flying = None
            if done is None or done.sent_s is None:
                return
            took_s = min(_SLOWEST_S, self._active_s - done.sent_s)
            self._slowest_s = max(self._slowest_s, took_s)
            if fused:
                before = [
                    stamp
                    for stamp, open_ in self._open.items()
                    if open_.sent_s is not None and open_.sent_s < done.sent_s
                ]
                self._repeat(before)

    def again(self) -> None:
        """Queue everything that has no answer: a stage has appeared that never saw it."""
        with self._lock:
            for open_ in self._open.values():
                open_.tries = 0
            self._queue = deque(self._open)
            self._flying, self._silent = None, False

    def poll(self, complete: bool) -> None:
        """Send what was missed, one keyframe at a time; call it often."""
        with self._lock:
            open_ = self._next() if complete else None
            if open_ is not None:
                self._count(open_)
        if open_ is not None:
            self._send(open_.item)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._open.clear()
            self._queue.clear()
            self._flying = None

    def _count(self, open_: _Open[T]) -> None:
        """Note that a keyframe is sent now; the lock is held."""
        open_.sent_s = self._active_s = time.monotonic()
        open_.tries += 1

    def _wait_s(self, tries: int) -> float:
        return float(max(_ANSWER_S, 2 * self._slowest_s) * 2 ** (tries - 1))

    def _repeat(self, stamps: Iterable[int]) -> None:
        """Queue those that may be sent again, before anything newer; the lock is held."""
        known = {*self._queue, self._flying}
        missed = [s for s in stamps if s not in known and self._open[s].tries < _TRIES]
        self._queue = deque([*missed, *self._queue])

    def _next(self) -> _Open[T] | None:
        """Return the keyframe to send now, or None; the lock is held."""
        silence_s = time.monotonic() - self._active_s
        flying = None if self._flying is None else self._open.get(self._flying)
        if flying is not None and not self._silent:
            if silence_s < self._wait_s(flying.tries):
                return None
            if flying.tries < _TRIES:
                return flying
            if not self._answers:
                # They never will: each keyframe is sent once.
                self._silent = True
                self._queue = deque(s for s, open_ in self._open.items() if open_.sent_s is None)
        self._flying = None
        if not self._queue and not self._silent and silence_s >= self._wait_s(1):
            self._repeat(s for s, open_ in self._open.items() if open_.sent_s is not None)
        while self._queue and self._queue[0] not in self._open:
            self._queue.popleft()
        if not self._queue:
            return None
        self._flying = self._queue.popleft()
        return self._open[self._flying]

    def _make_room(self) -> list[int]:
        """Forget the oldest beyond the places; return those that were not mapped for sure."""
        lost = []
        while len(self._open) > self._places:
            stamp_ns, open_ = self._open.popitem(last=False)
            if self._answers or open_.sent_s is None or stamp_ns in self._queue:
                lost.append(stamp_ns)
        return lost
