"""The log of a run: metrics.jsonl, TensorBoard curves, the bar and the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from e2e_slam_ros.training.learner import StepResult
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.step_means import StepMeans
from e2e_slam_ros.training.task import RunContext
from e2e_slam_ros.training.tensorboard_log import TensorBoardLog


class TrainingLog:
    """Collects steps and writes their means; silent in all but the first process.

    Without a bar, a line is said each time the log is written.

    Attributes:
        say: tells the user a sentence.
        tensorboard: curves and pictures.

    Args:
        folder: where metrics.jsonl is.
        context: the processes, and whether a bar is shown.

    >>> from pathlib import Path
    >>> from e2e_slam_ros.training.distributed import Group
    >>> from e2e_slam_ros.training.precision import Precision
    >>> import torch
    >>> context = RunContext(Group(), torch.device("cpu"), Precision("cpu", None), print, False)
    >>> log = TrainingLog(RunFolder(Path("/tmp")), TensorBoardLog(None), context, steps=9)
    >>> log.samples_per_s
    0.0
    """

    def __init__(
        self, folder: RunFolder, tensorboard: TensorBoardLog, context: RunContext, *, steps: int
    ) -> None:
        self.tensorboard, self.say = tensorboard, context.say
        self._folder, self._steps = folder, steps
        self._progress, self._writes = context.progress, context.group.is_first
        self._means = StepMeans()
        self._bar: tqdm[Any] | None = None

    @property
    def samples_per_s(self) -> float:
        """Speed when the log was last written."""
        return self._means.samples_per_s

    @contextmanager
    def showing(self, done: int) -> Iterator[None]:
        """Show the bar, from step ``done`` on, while the block runs."""
        with tqdm(
            total=self._steps,
            initial=done,
            unit="step",
            disable=not (self._progress and self._writes),
            dynamic_ncols=True,
        ) as self._bar:
            yield
        self._bar = None

    def add(self, result: StepResult, seconds: float) -> None:
        """Count a step that took ``seconds``, data included."""
        self._means.add(result, seconds)
        if self._bar is not None:
            self._bar.update(1)

    def write(self, step: int, stage: str, rate: float, skipped: int, trained_s: float) -> None:
        """Write the means of the steps since the last time."""
        means = self._means.take()
        if not self._writes:
            return
        speed = round(self.samples_per_s, 2)
        self._folder.log(
            {
                "step": step,
                "stage": stage,
                "learning_rate": rate,
                **means,
                "images_per_s": speed,
                "skipped": skipped,
                "trained_s": round(trained_s, 1),
            }
        )
        curves = {f"train/{name}": value for name, value in means.items()}
        curves |= {"train/learning_rate": rate, "images_per_s": speed}
        self.tensorboard.scalars(step, curves)
        if self._bar is not None:
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in means.items()})
        if not self._progress:
            self.say(f"step {step} of {self._steps}: {_listed(means)}, {speed:.1f} images/s")

    def write_validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Write validation figures; only the first process calls it."""
        self._folder.log({"step": step, "validation": dict(figures)})
        self.tensorboard.scalars(step, {f"validation/{name}": v for name, v in figures.items()})
        self.say(f"step {step}: validation {_listed(figures)}")


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())
