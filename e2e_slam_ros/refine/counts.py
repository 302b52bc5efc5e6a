"""Counts of how a run's refinements ended."""

from __future__ import annotations

from collections import Counter

from e2e_slam_ros.refine.result import ROLLED_BACK, RefineOutcome


class RefinementCounts:
    """Counts how refinements ended.

    Example:
        >>> import torch
        >>> from e2e_slam_ros.refine.result import Refusal, refusal
        >>> counts = RefinementCounts()
        >>> counts.add(refusal(torch.ones(1, 1, 2, 2), Refusal.NO_SOURCES))
        >>> counts.attempts, dict(counts.refused)
        (1, {'no sources': 1})

    Attributes:
        refined: keyframes whose depth was changed.
        refused: reason -> keyframes.
        rolled_back: keyframes whose refinement was undone.
        steps: updates made in all keyframes that were not refused.
        loss_before, loss_after: total loss of the last refined keyframe; None before the first.
    """

    def __init__(self) -> None:
        self.refined = self.rolled_back = self.steps = 0
        self.refused: Counter[str] = Counter()
        self.loss_before: float | None = None
        self.loss_after: float | None = None

    def add(self, outcome: RefineOutcome) -> None:
        """Count one keyframe."""
        if outcome.refused is not None:
            self.refused[str(outcome.refused)] += 1
            return
        self.refined += int(outcome.changed)
        self.rolled_back += int(outcome.stopped in ROLLED_BACK)
        self.steps += outcome.steps_done
        self.loss_before, self.loss_after = outcome.first_total, outcome.best_total

    @property
    def attempts(self) -> int:
        """Keyframes that were worked on or refused."""
        return self.begun + sum(self.refused.values())

    @property
    def begun(self) -> int:
        """Keyframes that were not refused."""
        return self.refined + self.rolled_back

    @property
    def mean_steps(self) -> float:
        """Updates for each keyframe that was not refused."""
        return self.steps / self.begun if self.begun else 0.0
