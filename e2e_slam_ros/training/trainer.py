"""The training loop: batches in, weights, states and logs out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.evaluation.depth_metrics import DepthMetrics
from e2e_slam_ros.training.batch import TrainingBatch
from e2e_slam_ros.training.board import SHOWN
from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.distributed import Group
from e2e_slam_ros.training.journal import Journal
from e2e_slam_ros.training.learner import Learner, StepResult
from e2e_slam_ros.training.prefetch import batches
from e2e_slam_ros.training.provenance import provenance
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import Stage, stages_of
from e2e_slam_ros.training.state import TrainingState, save_state
from e2e_slam_ros.training.stopping import StopRequest
from e2e_slam_ros.training.validation import Validation

# Views of which so little overlaps teach nothing; so many batches of them are a mistake.
_LEAST_IN_VIEW, _BLIND_BATCHES = 0.05, 20


class BatchSource(Protocol):
    """Where batches come from: the same for the same arguments, always."""

    def batch(self, step: int, rank: int) -> TrainingBatch:
        """Return the batch of one process for one step, on the CPU."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: steps done, of ``steps``.
        interrupted: a signal ended it.
        skipped: steps left out because a gradient was not finite.
        images_per_s: speed at the end, data included.
        validation: the last figures by name; empty without validation.
    """

    step: int
    steps: int
    interrupted: bool
    skipped: int
    images_per_s: float
    validation: Mapping[str, float]


class Trainer:
    """Runs the stages of a configuration.

    Args:
        config: of the run.
        learner: networks and optimiser.
        data: a source of batches for each stage's name.
        folder: where everything is written, by the first process.
        group: the processes that train together.
        journal: the log.
        validation: labelled frames, or None.
    """

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        data: Mapping[str, BatchSource],
        folder: RunFolder,
        group: Group,
        journal: Journal,
        validation: Validation | None,
    ) -> None:
        self._config, self._learner, self._data = config, learner, data
        self._folder, self._group = folder, group
        self._journal, self._validation = journal, validation
        self._stages = stages_of(config)
        self._steps = self._stages[-1].last
        self._done = 0
        self._trained_s = 0.0
        self._blind = 0
        self._stopping = False
        self._measured: dict[str, float] = {}

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
        self._done, self._trained_s = state.step, state.trained_s
        if self._group.is_first:
            self._folder.forget_after(state.step)

    def run(self) -> Outcome:
        """Train until the last step or a signal; write the state and the weights.

        SIGINT and SIGTERM end the run after the step that is under way; a second one at once.

        Raises:
            TrainingError: the training diverged, or views do not overlap. The last saved state
                stays as it was.
        """
        with StopRequest(self._journal.say) as request, self._journal.showing(self._done):
            for stage in self._stages:
                if self._done < stage.last and not self._stopping:
                    self._run_stage(stage, request)
        self._evaluate()
        self._save()
        return Outcome(
            self._done,
            self._steps,
            self._done < self._steps,
            self._learner.skipped,
            self._journal.images_per_s,
            self._measured,
        )

    def _run_stage(self, stage: Stage, request: StopRequest) -> None:
        source, rank = self._data[stage.name], self._group.rank
        first = max(stage.first, self._done)
        self._journal.say(f"{stage.name}: steps {first} to {stage.last}")
        coming = batches(
            lambda step: source.batch(step, rank), first, stage.last, self._config.prefetch
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
        self, stage: Stage, batch: TrainingBatch, result: StepResult, seconds: float
    ) -> None:
        """Check, log, draw, evaluate and save what is due after a step."""
        config, journal = self._config, self._journal
        self._trained_s += seconds
        self._check_overlap(stage, result)
        journal.add(result, seconds)
        if journal.board.is_on and self._due(config.pictures_every):
            depth = self._learner.average_depth(batch, SHOWN).cpu()
            journal.board.pictures(self._done, batch, depth)
        if self._due(config.log_every):
            skipped = self._learner.skipped
            journal.write(self._done, stage.name, result.rate, skipped, self._trained_s)
        if result.stop or self._done == self._steps:
            return  # both follow anyway
        if self._due(config.evaluate_every):
            self._evaluate()
        if self._due(config.checkpoint_every):
            self._save()

    def _due(self, every: int) -> bool:
        return self._done % every == 0 or self._done == self._steps

    def _evaluate(self) -> None:
        if self._validation is None:
            return
        raw, scaled = self._validation.measure(self._learner.average.network)
        self._measured = {**_figures("raw", raw), **_figures("median_scaled", scaled)}
        self._journal.write_validation(self._done, self._measured)

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
            )
            save_state(self._folder.states, state)
            about = provenance(self._config, self._done, self._trained_s, str(learner.device))
            figures = {f"validation.{n}": f"{v:.4f}" for n, v in self._measured.items()}
            save_weights(
                learner.average.network, self._folder.weights, {**about, **figures}, half=True
            )
        self._group.wait()

    def _check_overlap(self, stage: Stage, result: StepResult) -> None:
        """Refuse to go on with pairs that do not see the same things."""
        seen = result.terms.get("in_view")
        if seen is None or not result.finite:
            return
        self._blind = self._blind + 1 if seen < _LEAST_IN_VIEW else 0
        if self._blind >= _BLIND_BATCHES:
            raise TrainingError.from_parts(
                f"views in stage {stage.name}",
                f"{_BLIND_BATCHES} batches in a row with less than {_LEAST_IN_VIEW:.0%} of the "
                "image in view of the other camera",
                "pairs of views that overlap",
                "check the poses, or take frames closer together (data.*.max_parallax)",
            )


def _figures(prefix: str, metrics: DepthMetrics | None) -> dict[str, float]:
    if metrics is None:
        return {}
    names = ("abs_rel", "rmse", "delta_1")
    return {f"{prefix}.{name}": float(getattr(metrics, name)) for name in names}
