"""The speed of a playback."""

from __future__ import annotations

import time


class Pace:
    """Converts stamps to wall time at a rate. The first stamp is due at once.

    >>> pace = Pace(rate=2.0)
    >>> _ = pace.due_in(10_000_000_000)
    >>> 0.4 < pace.due_in(11_000_000_000) <= 0.5
    True
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start: tuple[float, int] | None = None

    def due_in(self, stamp_ns: int) -> float:
        """Return the seconds until a stamp is due. A late stamp gives a negative number."""
        if self._start is None:
            self._start = (time.monotonic(), stamp_ns)
        wall, first_ns = self._start
        return wall + (stamp_ns - first_ns) * 1e-9 / self._rate - time.monotonic()

    def shift(self, seconds: float) -> None:
        """Delay all later stamps by a pause."""
        if self._start is not None:
            self._start = (self._start[0] + seconds, self._start[1])
