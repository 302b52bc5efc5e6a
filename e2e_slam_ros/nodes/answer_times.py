"""How long an answer to a keyframe takes."""

from __future__ import annotations

from collections import deque

# An answer is overdue after this time, or after twice the time of the slowest one of late,
# whichever is longer. Each further wait is twice as long.
_ANSWER_S = 1.0
_SLOWEST_S = 5.0
_LONGEST_S = 10.0
_OF_LATE = 10
_DOUBLINGS = 4


class AnswerTimes:
    """Tells how long to wait for an answer, from the times of the last ones.

    An answer to a keyframe that was sent twice may belong to either. Its time is left out, and
    the longer wait stays until an answer is certain (P. Karn, C. Partridge, "Improving round-trip
    time estimates in reliable transport protocols", SIGCOMM 1987). A link that was cut for
    a while therefore does not count as slow, and slow stages are not asked twice for ever.

    Example:
        >>> times = AnswerTimes()
        >>> times.wait_s
        1.0
        >>> times.answered(0.9, tries=1)
        >>> times.wait_s
        1.8
        >>> times.in_vain()
        >>> times.answered(3.0, tries=2)
        >>> times.wait_s
        3.6
        >>> times.answered(2.5, tries=1)
        >>> times.wait_s
        5.0
    """

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=_OF_LATE)
        self._in_vain = 0

    @property
    def wait_s(self) -> float:
        """Seconds to wait for the next answer."""
        usual = max(_ANSWER_S, 2 * max(self._times_s, default=0.0))
        return float(min(_LONGEST_S, usual * 2**self._in_vain))

    def answered(self, took_s: float, tries: int) -> None:
        """Take the time from the last of ``tries`` times that a keyframe was sent."""
        if tries == 1:
            self._times_s.append(min(took_s, _SLOWEST_S))
            self._in_vain = 0

    def in_vain(self) -> None:
        """Note that no answer came in that time: the next wait is longer."""
        self._in_vain = min(self._in_vain + 1, _DOUBLINGS)
