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
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.sc_sfm.task import SCSfMTask
from e2e_slam_ros.training.state import load_last_state
from training.conftest import Walls
from training.running import Run


def equal(a: Learner, b: Learner) -> bool:
    first, second = a.tensors(), b.tensors()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.fixture
def both(tiny: SCSfMConfig) -> SCSfMConfig:
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

    def batch(self, step: int, rank: int) -> PairBatch:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step, rank)


@pytest.mark.parametrize("stop_after", [2, 4])
def test_a_stopped_run_goes_on_exactly_where_it_was(
    both: SCSfMConfig, tmp_path: Path, stop_after: int
) -> None:
    both = both.with_values({"prefetch": 0})
    straight = Run(both, Walls(), tmp_path / "straight")
    straight.trainer.run()

    stopped = Run(both, Stopping(stop_after - 1), tmp_path / "run")
    outcome = stopped.trainer.run()
    assert outcome.interrupted and outcome.step == stop_after
    assert not equal(straight.learner, stopped.learner)

    other = both.with_values({"seed": 9})  # everything comes from the state
    resumed = Run(other, Walls(), tmp_path / "run")
    state = load_last_state(tmp_path / "run" / "state")
    assert state is not None and state.step == stop_after
    resumed.trainer.restore(state)
    assert not resumed.trainer.run().interrupted
    assert equal(straight.learner, resumed.learner)


def test_batches_made_ahead_change_nothing(tiny: SCSfMConfig, tmp_path: Path) -> None:
    learners = []
    for ahead, threads in ((0, 1), (2, 1), (4, 3)):
        config = tiny.with_values({"prefetch": ahead, "prefetch_threads": threads})
        run = Run(config, Walls(), tmp_path / str(ahead))
        run.trainer.run()
        learners.append(run.learner)
    assert equal(learners[0], learners[1]) and equal(learners[0], learners[2])


def test_it_learns(tiny: SCSfMConfig, out: Path) -> None:
    config = tiny.with_values(
        {"pretraining.steps": 30, "pretraining.learning_rate": 3e-3, "log_every": 5}
    )
    Run(config, Walls(4), out).trainer.run()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines]
    assert [line["step"] for line in lines] == [5, 10, 15, 20, 25, 30]
    assert losses[-1] < 0.8 * losses[0]


def test_the_last_two_states_and_the_weights_are_kept(tiny: SCSfMConfig, out: Path) -> None:
    config = tiny.with_values({"checkpoint_every": 2})
    Run(config, Walls(), out).trainer.run()
    assert sorted(p.name for p in (out / "state").iterdir()) == [
        "step_00000004.safetensors",
        "step_00000006.safetensors",
    ]
    assert (out / "weights.safetensors").stat().st_size > 1e6


def test_a_signal_during_the_last_validation_loses_nothing(
    tiny: SCSfMConfig, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(_: SCSfMTask, __: object) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    monkeypatch.setattr(SCSfMTask, "validate", validate)
    outcome = Run(tiny, Walls(), out).trainer.run()
    assert not outcome.interrupted
    assert (out / "weights.safetensors").is_file() and list((out / "state").iterdir())


class Poisoned(Walls):
    """Batches whose labels make the loss infinite at some steps."""

    def __init__(self, steps: range) -> None:
        super().__init__()
        self.steps = steps

    def batch(self, step: int, rank: int) -> PairBatch:
        batch = super().batch(step, rank)
        if step not in self.steps:
            return batch
        return dataclasses.replace(batch, image=batch.image * torch.nan)


def test_a_step_that_is_not_finite_changes_nothing(tiny: SCSfMConfig, out: Path) -> None:
    run = Run(tiny, Poisoned(range(2, 4)), out)
    assert run.trainer.run().skipped == 2
    for name, value in run.learner.tensors().items():
        assert torch.isfinite(value.float()).all(), name


def test_a_diverged_run_ends_and_its_last_state_is_sound(tiny: SCSfMConfig, out: Path) -> None:
    config = tiny.with_values({"pretraining.steps": 40})
    with pytest.raises(TrainingError, match="20 steps in a row"):
        Run(config, Poisoned(range(4, 99)), out).trainer.run()
    state = load_last_state(out / "state")
    assert state is not None
    assert all(torch.isfinite(value.float()).all() for value in state.tensors.values())


def test_another_number_of_processes_is_refused(tiny: SCSfMConfig, out: Path) -> None:
    Run(tiny, Walls(), out).trainer.run()
    state = load_last_state(out / "state")
    assert state is not None
    with pytest.raises(TrainingError, match="2, as the run was started with"):
        Run(tiny, Walls(), out).trainer.restore(dataclasses.replace(state, world=2))
