"""The training loop: batches in, weights, states and logs out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.prefetch import prepared_ahead
from e2e_slam_ros.training.learner import Learner, StepResult
from e2e_slam_ros.training.provenance import provenance
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import TrainingStage, stages_of
from e2e_slam_ros.training.state import TrainingState, save_state
from e2e_slam_ros.training.stopping import StopRequest
from e2e_slam_ros.training.task import Batch, BatchSource, RunContext, Task
from e2e_slam_ros.training.training_log import TrainingLog


@dataclass(frozen=True)
class TrainingOutcome:
    """How a run ended.

    Attributes:
        step: steps done, of ``steps``.
        interrupted: a signal ended it.
        skipped: steps left out because a gradient was not finite.
        samples_per_s: speed at the end, data included.
        validation: the last figures by name; empty without validation.

    >>> TrainingOutcome(9, 9, False, 0, 16.0, {"abs_rel": 0.1}).validation
    {'abs_rel': 0.1}
    """

    step: int
    steps: int
    interrupted: bool
    skipped: int
    samples_per_s: float
    validation: Mapping[str, float]


class Trainer:
    """Runs the stages of a task's configuration.

    Args:
        task: gives loss, validation figures and exported files.
        data: a source of batches for each stage's name.
        folder: where everything is written, by the first process.

    >>> TrainingOutcome(5, 9, True, 0, 16.0, {}).interrupted  # what `Trainer.run` returns
    True
    """

    def __init__(
        self,
        task: Task[Any],
        learner: Learner,
        data: Mapping[str, BatchSource[Any]],
        folder: RunFolder,
        context: RunContext,
        log: TrainingLog,
    ) -> None:
        self._task, self._learner, self._data = task, learner, data
        self._folder, self._context, self._log = folder, context, log
        self._config, self._group = task.config, context.group
        self._stages = stages_of(task.config)
        self._steps = self._stages[-1].last
        self._done = 0
        self._trained_s = 0.0
        self._stopping = False
        self._measured: Mapping[str, float] = {}
        self._best: float | None = None

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state.

        Raises:
            TrainingError: it is of other networks, or of another number of processes.
        """
        if state.world != self._group.world:
            raise TrainingError.from_parts(
                "--resume",
                f"{self._group.world} process(es)",
                f"{state.world}, as the run was started with",
                f"start {state.world} with torchrun --nproc-per-node {state.world}",
            )
        self._learner.restore(state)
        self._done, self._trained_s, self._best = state.step, state.trained_s, state.best
        if self._group.is_first:
            self._folder.forget_after(state.step)

    def run(self) -> TrainingOutcome:
        """Train until the last step or a signal; write the state and the weights.

        SIGINT and SIGTERM end the run after the step that is under way, or after the last
        validation; a second one at once.

        Raises:
            TrainingError: the training diverged, or the task refuses to go on. The last saved
                state stays as it was.
        """
        with StopRequest(self._log.say) as request:
            with self._log.showing(self._done):
                for stage in self._stages:
                    if self._done < stage.last and not self._stopping:
                        self._run_stage(stage, request)
            # Also a signal that comes now must not cost what was learnt.
            self._evaluate()
            self._save()
        return TrainingOutcome(
            self._done,
            self._steps,
            self._done < self._steps,
            self._learner.skipped,
            self._log.samples_per_s,
            self._measured,
        )

    def _run_stage(self, stage: TrainingStage, request: StopRequest) -> None:
        source, rank = self._data[stage.name], self._group.rank
        first = max(stage.first, self._done)
        self._log.say(f"{stage.name}: steps {first} to {stage.last}")
        coming = prepared_ahead(
            lambda step: source.batch(step, rank),
            first,
            stage.last,
            self._config.prefetch,
            self._config.prefetch_threads,
        )
        started = time.monotonic()
        with closing(coming):
            for step, batch in coming:
                result = self._learner.step(step, stage, batch, request.asked)
                self._done = step + 1
                self._after(stage, batch, result, time.monotonic() - started)
                if result.stop:  # agreed: every process stops after the same step
                    self._stopping = True
                    return
                started = time.monotonic()

    def _after(
        self, stage: TrainingStage, batch: Batch, result: StepResult, seconds: float
    ) -> None:
        """Check and log a step; draw, evaluate and save when they are due."""
        config, log = self._config, self._log
        self._trained_s += seconds
        if result.finite:
            self._task.check(stage.name, result.terms)
        log.add(result, seconds)
        if log.tensorboard.is_on and self._due(config.pictures_every):
            pictures = self._task.pictures(self._learner.average.module, batch)
            log.tensorboard.pictures(self._done, pictures)
        if self._due(config.log_every):
            skipped = self._learner.skipped
            log.write(self._done, stage.name, result.rate, skipped, self._trained_s)
        if result.stop or self._done == self._steps:
            return  # both follow anyway
        if self._due(config.evaluate_every):
            self._evaluate()
        if self._due(config.checkpoint_every):
            self._save()

    def _due(self, every: int) -> bool:
        return self._done % every == 0 or self._done == self._steps

    def _evaluate(self) -> None:
        """Measure, in the first process; keep the best weights of the steps that are due."""
        if not self._group.is_first:
            return
        self._measured = self._task.validate(self._learner.average.module)
        if not self._measured:
            return
        self._log.write_validation(self._done, self._measured)
        figure = self._measured.get(self._task.best_by)
        # A run that is interrupted and one that is not choose between the same steps.
        due = self._due(self._config.evaluate_every)
        if due and figure is not None and (self._best is None or figure < self._best):
            self._best = figure
            self._export(self._folder.best_weights)

    def _save(self) -> None:
        """Write the state and the weights it stands for, in the first process."""
        if self._group.is_first:
            learner = self._learner
            state = TrainingState(
                step=self._done,
                world=self._group.world,
                config=self._config.to_yaml(),
                skipped=learner.skipped,
                skipped_in_row=learner.skipped_in_row,
                trained_s=self._trained_s,
                tensors=learner.tensors(),
                scaler=learner.scaler_state(),
                best=self._best,
            )
            save_state(self._folder.states, state)
            self._export(self._folder.weights)
        self._group.wait()

    def _export(self, path: Path) -> None:
        device = str(self._context.device)
        facts = provenance(self._config, self._done, self._trained_s, device)
        figures = {f"validation.{n}": f"{v:.4f}" for n, v in self._measured.items()}
        self._task.export(self._learner.average.module, path, {**facts, **figures})
