"""Means of the loss terms over the last steps."""

from __future__ import annotations

from e2e_slam_ros.training.learner import StepResult


class StepMeans:
    """Sums of the steps since the last call of `take`.

    Attributes:
        samples_per_s: speed of the last steps that were taken, data included.
    """

    def __init__(self) -> None:
        self.samples_per_s = 0.0
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._samples = 0
        self._seconds = 0.0

    def add(self, result: StepResult, seconds: float) -> None:
        """Add a step that took ``seconds``; a step that was left out adds to the speed alone."""
        self._samples += result.samples
        self._seconds += seconds
        if not result.finite:
            return
        for name, value in {"loss": result.loss, **result.terms}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means since the last time; empty when every step was left out."""
        means = {name: round(value / self._counts[name], 6) for name, value in self._sums.items()}
        self.samples_per_s = self._samples / max(self._seconds, 1e-9)
        self._sums, self._counts, self._samples, self._seconds = {}, {}, 0, 0.0
        return means
