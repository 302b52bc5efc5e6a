"""Means of the loss terms over the last steps."""

from __future__ import annotations

from e2e_slam_ros.training.learner import StepResult


class StepMeans:
    """Sums of the steps since the last call of `take`.

    Attributes:
        samples_per_s: speed of the last steps that were taken, data included.

    >>> means = StepMeans()
    >>> for loss in (1.0, 2.0):
    ...     means.add(StepResult(True, loss, {}, 1e-4, samples=8, stop=False), seconds=0.5)
    >>> means.take(), means.samples_per_s
    ({'loss': 1.5}, 16.0)
    """

    def __init__(self) -> None:
        self.samples_per_s = 0.0
        self._values: dict[str, list[float]] = {}
        self._samples = 0
        self._seconds = 0.0

    def add(self, result: StepResult, seconds: float) -> None:
        """Add a step that took ``seconds``; a step that was left out adds to the speed alone."""
        self._samples += result.samples
        self._seconds += seconds
        if not result.finite:
            return
        for name, value in {"loss": result.loss, **result.terms}.items():
            self._values.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """Return the means since the last time; empty when every step was left out."""
        means = {name: round(sum(v) / len(v), 6) for name, v in self._values.items()}
        self.samples_per_s = self._samples / max(self._seconds, 1e-9)
        self._values, self._samples, self._seconds = {}, 0, 0.0
        return means
