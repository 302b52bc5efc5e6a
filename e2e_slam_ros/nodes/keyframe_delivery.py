"""Keyframes on their way to the other stages of a split system."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Keyframes that are kept: about a megabyte each.
PLACES = 40
# A keyframe from the queue without an answer is sent once more: a stage that has just started
# may have missed it.
_REPEAT_S = 1.0
# After this time without an answer it is passed over.
_ANSWER_S = 20.0


class KeyframeDelivery(Generic[T]):
    """Keeps keyframes until somebody answers for them. Thread-safe.

    While a stage is missing, keyframes are kept, the newest ``places``. When it is back, they are
    sent again in order, one at a time, so that the stages drop none; new ones queue behind. One
    that nobody answers is sent once more, and then passed over.

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
        >>> delivery.answered(1)
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
        self._open: OrderedDict[int, T] = OrderedDict()
        # Nobody ever answers where the stages are somebody else's.
        self._answers = False
        # Stamps of those that nobody could take.
        self._missed: set[int] = set()
        self._queue: deque[int] = deque()
        self._flying: tuple[int, float] | None = None
        self._repeated = False

    @property
    def unanswered(self) -> int:
        """Number of keyframes without an answer."""
        return len(self._open)

    @property
    def kept(self) -> int:
        """Number of keyframes that are kept to be sent again."""
        return len(self._missed) + len(self._queue)

    def offer(self, stamp_ns: int, item: T, complete: bool) -> None:
        """Send a new keyframe, or queue it behind those that are sent again.

        Args:
            stamp_ns: its stamp.
            item: what is sent.
            complete: every stage is there. If not, others may still look at it.
        """
        with self._lock:
            self._open[stamp_ns] = item
            if not complete:
                self._missed.add(stamp_ns)
            queued = bool(self._queue) or self._flying is not None
            if queued:
                self._queue.append(stamp_ns)
            lost = self._make_room()
        if not queued:
            self._send(item)
        for stamp in lost:
            self._on_lost(stamp)

    def answered(self, stamp_ns: int) -> None:
        """Forget a keyframe: it was mapped, or refused for good."""
        with self._lock:
            self._answers = True
            self._open.pop(stamp_ns, None)
            self._missed.discard(stamp_ns)
            if self._flying is not None and self._flying[0] == stamp_ns:
                self._flying = None

    def again(self) -> None:
        """Queue everything that has no answer: a stage has appeared that never saw it."""
        with self._lock:
            self._queue = deque(self._open)
            self._flying = None
            self._missed.clear()

    def poll(self, complete: bool) -> None:
        """Send the next one of the queue, if the last one is answered; call it often."""
        with self._lock:
            item = self._next() if complete else None
        if item is not None:
            self._send(item)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._open.clear()
            self._missed.clear()
            self._queue.clear()
            self._flying = None

    def _next(self) -> T | None:
        """Return the keyframe to send now, or None; the lock is held."""
        if self._flying is not None:
            stamp_ns, sent_s = self._flying
            waited_s = time.monotonic() - sent_s
            if stamp_ns in self._open and waited_s <= _ANSWER_S:
                if self._repeated or waited_s <= _REPEAT_S:
                    return None
                self._repeated = True
                return self._open[stamp_ns]
            self._flying = None
        while self._queue and self._queue[0] not in self._open:
            self._queue.popleft()
        if not self._queue:
            return None
        stamp_ns = self._queue.popleft()
        self._flying, self._repeated = (stamp_ns, time.monotonic()), False
        return self._open[stamp_ns]

    def _make_room(self) -> list[int]:
        """Forget the oldest beyond the places; return those that nobody took."""
        lost = []
        while len(self._open) > self._places:
            stamp_ns, _ = self._open.popitem(last=False)
            if self._answers or stamp_ns in self._missed or stamp_ns in self._queue:
                lost.append(stamp_ns)
            self._missed.discard(stamp_ns)
        return lost
