"""Keyframes on their way to the other stages of a split system."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from e2e_slam_ros.nodes.answer_times import AnswerTimes
from e2e_slam_ros.nodes.backlog import Backlog
from e2e_slam_ros.nodes.keyframe_results import KeyframeFate
from e2e_slam_ros.nodes.open_keyframe import OpenKeyframe

T = TypeVar("T")

# Times a keyframe is sent before nobody is expected to answer ever.
_TRIES = 4
# A keyframe is given up when so many that were sent after it were fused before it.
_MISSED = 4


class KeyframeDelivery(Generic[T]):
    """Keeps keyframes until somebody answers for them, and sends again what was missed.

    While a stage is missing or nothing is answered, keyframes are kept, the newest ``places``.
    Once a stage is back or an answer comes, they are sent again in order, one at a time, so that
    the stages drop none; new ones queue behind. What was sent meanwhile may arrive all at once: a
    keyframe that a stage drops then is sent again too. If new ones come faster than the stages
    answer, those that wait too long make room, as they do in a live stage.

    Stages map keyframes in the order of their arrival. A keyframe was missed if one sent after it
    is fused before it, or if no answer comes at all. Thread-safe.

    Args:
        send: sends a keyframe; any thread.
        on_lost: called with the stamp of a keyframe that had to make room for others, or that the
            stages never answered for.
        on_dropped: called with the stamp of a keyframe that newer ones replaced.
        places: number of keyframes that are kept.

    Example:
        >>> sent: list[str] = []
        >>> delivery = KeyframeDelivery(sent.append, on_lost=print, on_dropped=print, places=40)
        >>> delivery.offer(1, "first", complete=False)  # nobody there maps it
        >>> delivery.again()
        >>> delivery.offer(2, "second", complete=True)
        >>> delivery.poll(complete=True)
        >>> sent
        ['first', 'first']
        >>> delivery.answered(1, KeyframeFate.FUSED)
        True
        >>> delivery.poll(complete=True)
        >>> sent, delivery.unanswered
        (['first', 'first', 'second'], 1)
    """

    def __init__(
        self,
        send: Callable[[T], None],
        on_lost: Callable[[int], None],
        on_dropped: Callable[[int], None],
        places: int,
    ) -> None:
        self._send = send
        self._on_lost = on_lost
        self._on_dropped = on_dropped
        self._places = places
        self._lock = threading.Lock()
        self._open: OrderedDict[int, OpenKeyframe[T]] = OrderedDict()
        # Nobody ever answers where the stages are somebody else's.
        self._answers = False
        self._silent = False
        self._times = AnswerTimes()
        # Since when an answer is waited for, and for how long nothing is wrong with that.
        self._waiting_s: float | None = None
        self._patience_s = 0.0
        self._queue = Backlog()
        # The one of the queue whose answer is waited for.
        self._flying: int | None = None

    @property
    def unanswered(self) -> int:
        """Number of keyframes without an answer."""
        return len(self._open)

    @property
    def kept(self) -> int:
        """Number of keyframes that are kept to be sent again."""
        with self._lock:
            quiet, queue = self._is_quiet() and not self._silent, self._queue
            return sum(quiet or o.sent_s is None or s in queue for s, o in self._open.items())

    @property
    def quiet_s(self) -> float:
        """Seconds that an answer is overdue; 0 if none is, or if nobody ever answered."""
        with self._lock:
            if not self._answers or not self._is_quiet() or self._waiting_s is None:
                return 0.0
            return time.monotonic() - self._waiting_s

    def offer(self, stamp_ns: int, item: T, complete: bool) -> None:
        """Send a new keyframe, or queue it behind those that are sent again.

        Args:
            stamp_ns: its stamp.
            item: what is sent.
            complete: every stage is there. If not, others may still look at it.
        """
        with self._lock:
            open_ = self._open[stamp_ns] = OpenKeyframe(item)
            # While nothing is answered there is no queue to keep the order of.
            queued = complete and (len(self._queue) > 0 or self._flying is not None)
            queued = queued and not self._is_quiet()
            if queued:
                self._queue.append(stamp_ns)
            elif complete:
                self._count(open_)
            lost = self._make_room()
        if not queued:
            self._send(item)
        for stamp in lost:
            self._on_lost(stamp)

    def answered(self, stamp_ns: int, fate: KeyframeFate) -> bool:
        """Take an answer; return whether it settles the fate of a keyframe that was waited for.

        Args:
            stamp_ns: its stamp.
            fate: fused: whatever was sent before it and has no answer was missed. Dropped: it is
                sent again if nothing was answered for a while before.
        """
        with self._lock:
            if self._is_quiet():
                self._come_back()
            self._answers, self._silent = True, False
            settled, given_up = False, list[int]()
            open_ = self._open.get(stamp_ns)
            if self._flying == stamp_ns:
                self._flying = None
            again = fate is KeyframeFate.DROPPED and open_ is not None and open_.returning
            if open_ is not None and again and open_.missed < _MISSED - 1:
                open_.missed += 1
                self._repeat([stamp_ns])
            elif open_ is not None:
                settled = True
                del self._open[stamp_ns]
                if open_.sent_s is not None:
                    self._times.answered(time.monotonic() - open_.sent_s, open_.tries)
                if open_.sent_s is not None and fate is KeyframeFate.FUSED:
                    self._repeat(self._missed_before(open_.sent_s))
                    given_up = self._give_up()
            waits = any(other.sent_s is not None for other in self._open.values())
            self._wait_from(time.monotonic() if waits else None)
        for stamp in given_up:
            self._on_lost(stamp)
        return settled

    def again(self) -> None:
        """Queue everything that has no answer: a stage has appeared that never saw it."""
        with self._lock:
            self._silent = False
            self._come_back()

    def poll(self, complete: bool) -> None:
        """Send what was missed, one keyframe at a time; call it often."""
        with self._lock:
            keeps_up = not complete or self._is_quiet()
            dropped = [] if keeps_up else self._queue.leave_behind(self._open)
            for stamp in dropped:
                del self._open[stamp]
            open_ = self._next() if complete else None
            if open_ is not None:
                self._count(open_)
        for stamp in dropped:
            self._on_dropped(stamp)
        if open_ is not None:
            self._send(open_.item)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._open.clear()
            self._queue.clear()
            self._flying = self._waiting_s = None

    # The lock is held in everything below.

    def _is_quiet(self) -> bool:
        """Whether an answer is overdue."""
        return self._waiting_s is not None and (
            time.monotonic() - self._waiting_s >= self._patience_s
        )

    def _wait_from(self, second: float | None) -> None:
        self._waiting_s, self._patience_s = second, self._times.wait_s

    def _count(self, open_: OpenKeyframe[T]) -> None:
        """Note that a keyframe is sent now."""
        open_.sent_s = time.monotonic()
        open_.tries += 1
        if self._waiting_s is None:
            self._wait_from(open_.sent_s)

    def _come_back(self) -> None:
        """Queue all that is open, in order: what was sent meanwhile may have been missed."""
        for open_ in self._open.values():
            open_.tries, open_.returning = 0, True
        self._queue.restart(self._open)
        self._flying, self._waiting_s = None, None

    def _repeat(self, stamps: Iterable[int]) -> None:
        """Queue what may be sent again, before anything newer."""
        self._queue.put_first([stamp for stamp in stamps if stamp != self._flying])

    def _missed_before(self, sent_s: float) -> list[int]:
        """Return the stamps of keyframes sent before a fused one, and count these as missed."""
        before = []
        for stamp, open_ in self._open.items():
            if open_.sent_s is not None and open_.sent_s < sent_s and stamp != self._flying:
                before.append(stamp)
                open_.was_missed()
        return before

    def _give_up(self) -> list[int]:
        """Forget what was missed too often; return the stamps."""
        lost = [stamp for stamp, open_ in self._open.items() if open_.missed >= _MISSED]
        for stamp in lost:
            del self._open[stamp]
        return lost

    def _next(self) -> OpenKeyframe[T] | None:
        """Return the keyframe to send now, or None."""
        flying = None if self._flying is None else self._open.get(self._flying)
        if flying is not None and not self._silent:
            assert flying.sent_s is not None
            if time.monotonic() - flying.sent_s < self._times.wait_s:
                return None
            self._times.in_vain()
            if not self._answers and flying.tries < _TRIES:
                return flying
            self._pass_over()
        elif self._flying is None and not self._queue and not self._silent and self._is_quiet():
            self._times.in_vain()
            self._repeat(s for s, open_ in self._open.items() if open_.sent_s is not None)
        self._flying = self._queue.pop(self._open)
        return None if self._flying is None else self._open[self._flying]

    def _pass_over(self) -> None:
        """Let another keyframe have its turn, or none if nobody ever answers."""
        assert self._flying is not None
        if self._answers:
            self._queue.append(self._flying)
            return
        # They never will: each keyframe is sent once.
        self._silent = True
        self._queue.restart(s for s, open_ in self._open.items() if open_.sent_s is None)

    def _make_room(self) -> list[int]:
        """Forget the oldest beyond the places; return those that were not mapped for sure."""
        lost = []
        while len(self._open) > self._places:
            stamp_ns, open_ = self._open.popitem(last=False)
            if self._answers or open_.sent_s is None or stamp_ns in self._queue:
                lost.append(stamp_ns)
        return lost
