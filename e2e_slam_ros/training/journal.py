"""What a run says of itself: the log, the curves, the bar and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from e2e_slam_ros.training.board import Board
from e2e_slam_ros.training.learner import StepResult
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.tally import Tally


class Journal:
    """Collects steps and writes their means; silent in all but the first process.

    Attributes:
        say: tells the user a sentence.
        board: TensorBoard.

    Args:
        folder: where the log is.
        steps: of the whole run.
        progress: show a bar; without, a line is said each time the log is written.
        writes: this is the first process.
    """

    def __init__(
        self,
        folder: RunFolder,
        board: Board,
        say: Callable[[str], None],
        *,
        steps: int,
        progress: bool,
        writes: bool,
    ) -> None:
        self.board, self.say = board, say
        self._folder, self._steps = folder, steps
        self._progress, self._writes = progress, writes
        self._tally = Tally()
        self._bar: tqdm[Any] | None = None

    @property
    def images_per_s(self) -> float:
        """Speed when the log was last written."""
        return self._tally.images_per_s

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
        self._tally.add(result, seconds)
        if self._bar is not None:
            self._bar.update(1)

    def write(self, step: int, stage: str, rate: float, skipped: int, trained_s: float) -> None:
        """Write the means of the steps since the last time."""
        means = self._tally.take()
        if not self._writes:
            return
        speed = round(self._tally.images_per_s, 2)
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
        self.board.scalars(step, {**curves, "train/learning_rate": rate, "images_per_s": speed})
        if self._bar is not None:
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in means.items()})
        if not self._progress:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
            self.say(f"step {step} of {self._steps}: {shown}, {speed:.1f} images/s")

    def write_validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Write what was measured on the validation frames."""
        if not self._writes:
            return
        self._folder.log({"step": step, "validation": dict(figures)})
        self.board.scalars(step, {f"validation/{name}": v for name, v in figures.items()})
        scaled, raw = (
            figures.get(f"{kind}.abs_rel", float("nan")) for kind in ("median_scaled", "raw")
        )
        self.say(f"step {step}: validation abs_rel {scaled:.3f} median-scaled, {raw:.3f} raw")
