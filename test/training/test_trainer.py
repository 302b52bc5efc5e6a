"""The loop: what it learns, that it goes on exactly where it stopped, what it refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.batch import TrainingBatch
from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.state import load_last_state
from training.conftest import Walls, wall_batch
from training.running import make_learner, make_trainer


def equal(a: Learner, b: Learner) -> bool:
    first, second = a.tensors(), b.tensors()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.fixture
def both(tiny: TrainConfig) -> TrainConfig:
    """Three steps of each stage."""
    return tiny.with_values(
        {
            "pretraining.steps": 3,
            "self_supervision.steps": 3,
            "self_supervision.batch_size": 2,
            "checkpoint_every": 100,
        }
    )


class Stopping(Walls):
    """Asks for the end of the run while the batch of a step is made."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def batch(self, step: int, rank: int) -> TrainingBatch:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step, rank)


@pytest.mark.parametrize("stop_after", [2, 4])
def test_a_stopped_run_goes_on_exactly_where_it_was(
    both: TrainConfig, tmp_path: Path, stop_after: int
) -> None:
    both = both.with_values({"prefetch": 0})
    straight = make_learner(both)
    make_trainer(both, straight, Walls(), tmp_path / "straight").run()

    stopped = make_learner(both)
    outcome = make_trainer(both, stopped, Stopping(stop_after - 1), tmp_path / "run").run()
    assert outcome.interrupted and outcome.step == stop_after
    assert not equal(straight, stopped)

    resumed = make_learner(both.with_values({"seed": 9}))  # everything comes from the state
    state = load_last_state(tmp_path / "run" / "state")
    assert state is not None and state.step == stop_after
    trainer = make_trainer(both, resumed, Walls(), tmp_path / "run")
    trainer.restore(state)
    assert not trainer.run().interrupted
    assert equal(straight, resumed)


def test_batches_made_ahead_change_nothing(tiny: TrainConfig, tmp_path: Path) -> None:
    learners = []
    for ahead in (0, 2):
        config = tiny.with_values({"prefetch": ahead})
        learners.append(make_learner(config))
        make_trainer(config, learners[-1], Walls(), tmp_path / str(ahead)).run()
    assert equal(*learners)


def test_it_learns(tiny: TrainConfig, out: Path) -> None:
    config = tiny.with_values(
        {"pretraining.steps": 30, "pretraining.learning_rate": 3e-3, "log_every": 5}
    )
    make_trainer(config, make_learner(config), Walls(4), out).run()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines]
    assert [line["step"] for line in lines] == [5, 10, 15, 20, 25, 30]
    assert losses[-1] < 0.8 * losses[0]


def test_the_last_two_states_and_the_weights_are_kept(tiny: TrainConfig, out: Path) -> None:
    config = tiny.with_values({"checkpoint_every": 2})
    make_trainer(config, make_learner(config), Walls(), out).run()
    assert sorted(p.name for p in (out / "state").iterdir()) == [
        "step_00000004.safetensors",
        "step_00000006.safetensors",
    ]
    assert (out / "weights.safetensors").stat().st_size > 1e6


class Poisoned(Walls):
    """Batches whose labels make the loss infinite at some steps."""

    def __init__(self, steps: range) -> None:
        super().__init__()
        self.steps = steps

    def batch(self, step: int, rank: int) -> TrainingBatch:
        batch = super().batch(step, rank)
        if step not in self.steps:
            return batch
        return dataclasses.replace(batch, image=batch.image * torch.nan)


def test_a_step_that_is_not_finite_changes_nothing(tiny: TrainConfig, out: Path) -> None:
    learner = make_learner(tiny)
    outcome = make_trainer(tiny, learner, Poisoned(range(2, 4)), out).run()
    assert outcome.skipped == 2
    for name, value in learner.tensors().items():
        assert torch.isfinite(value.float()).all(), name


def test_a_diverged_run_ends_and_its_last_state_is_sound(tiny: TrainConfig, out: Path) -> None:
    config = tiny.with_values({"pretraining.steps": 40})
    with pytest.raises(TrainingError, match="20 steps in a row"):
        make_trainer(config, make_learner(config), Poisoned(range(4, 99)), out).run()
    state = load_last_state(out / "state")
    assert state is not None
    assert all(torch.isfinite(value.float()).all() for value in state.tensors.values())


class Apart(Walls):
    """Pairs whose cameras see nothing in common."""

    def batch(self, step: int, rank: int) -> TrainingBatch:
        return wall_batch(self.count, step, shift=50.0)


def test_views_without_overlap_are_refused(tiny: TrainConfig, out: Path) -> None:
    config = tiny.with_values(
        {"pretraining.steps": 0, "self_supervision.steps": 30, "self_supervision.batch_size": 2}
    )
    with pytest.raises(TrainingError, match="in view of the other camera"):
        make_trainer(config, make_learner(config), Apart(), out).run()


def test_another_number_of_processes_is_refused(tiny: TrainConfig, out: Path) -> None:
    learner = make_learner(tiny)
    make_trainer(tiny, learner, Walls(), out).run()
    state = load_last_state(out / "state")
    assert state is not None
    with pytest.raises(TrainingError, match="2, as the run was started with"):
        make_trainer(tiny, learner, Walls(), out).restore(dataclasses.replace(state, world=2))


def test_frozen_stages_keep_weights_and_statistics(tiny: TrainConfig, out: Path) -> None:
    config = tiny.with_values({"frozen_stages": 2})
    fresh, learner = make_learner(config), make_learner(config)
    make_trainer(config, learner, Walls(), out).run()
    before, after = fresh.tensors(), learner.tensors()
    for name, value in before.items():
        fixed = name.startswith(("objective.network.encoder.stem", "objective.network.encoder.st"))
        fixed = fixed and not any(f"encoder.stages.{i}." in name for i in range(2, 7))
        if fixed and "num_batches" not in name:
            assert torch.equal(value, after[name]), name
    moved = "objective.network.encoder.stages.2.0.expand.norm.running_mean"
    assert not torch.equal(before[moved], after[moved])


def test_frozen_norms_keep_their_statistics_and_learn_their_weights(
    tiny: TrainConfig, out: Path
) -> None:
    config = tiny.with_values({"frozen_norms": True})
    fresh, learner = make_learner(config), make_learner(config)
    make_trainer(config, learner, Walls(), out).run()
    norm = "objective.network.encoder.stages.2.0.expand.norm."
    before, after = fresh.tensors(), learner.tensors()
    assert torch.equal(before[norm + "running_mean"], after[norm + "running_mean"])
    assert not torch.equal(before[norm + "weight"], after[norm + "weight"])


@pytest.mark.parametrize(
    ("amp", "device"), [("bf16", "cpu"), pytest.param("fp16", "cuda", marks=pytest.mark.gpu)]
)
def test_reduced_precision_learns_and_keeps_its_weights_whole(
    tiny: TrainConfig, out: Path, amp: str, device: str
) -> None:
    config = tiny.with_values({"amp": amp, "self_supervision.steps": 2})
    learner = make_learner(config, device=device)
    fresh = {n: v.clone() for n, v in learner.tensors().items()}
    outcome = make_trainer(config, learner, Walls(), out).run()
    assert outcome.skipped < 4  # fp16 looks for its scale
    name = "objective.network.decoder.merge.0.conv.weight"
    weights = learner.tensors()[name]
    assert weights.dtype == torch.float32 and not torch.equal(weights, fresh[name])
