"""Counts of problems that do not stop the system."""

from __future__ import annotations

import threading


class ProblemCounter:
    """Counts problems by kind; safe to use from several threads.

    Example:
        >>> counter = ProblemCounter()
        >>> counter.count("no_pose"), counter.count("no_pose")
        (1, 2)
        >>> counter.totals()
        {'no_pose': 2}
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, int] = {}

    def count(self, kind: str) -> int:
        """Count one problem, and return the number of its kind, this one included."""
        with self._lock:
            self._totals[kind] = self._totals.get(kind, 0) + 1
            return self._totals[kind]

    def totals(self) -> dict[str, int]:
        """Return a copy of the counts."""
        with self._lock:
            return dict(self._totals)
