"""`e2e-slam train correction`: it learns, resumes, validates and exports."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.refine.learned_correction.weights_file import load_correction, save_correction
from e2e_slam_ros.training.correction.config import CorrectionTrainConfig
from e2e_slam_ros.training.correction.task import CorrectionTask
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.run import train
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.state import load_last_state
from training.correction.conftest import SEED, SMALL
from training.running import context_of


@pytest.fixture(scope="module")
def config(cache: Path) -> CorrectionTrainConfig:
    """Four steps on one small walk, validated on another one."""
    values: dict[str, object] = {f"walks.{name}": value for name, value in SMALL.items()}
    return CorrectionTrainConfig().with_values(
        values
        | {
            "cache": str(cache),
            "walks.rooms": 1,
            "walks.first_seed": SEED,
            "validation.rooms": 1,
            "validation.first_seed": SEED + 1,
            "supervised.steps": 4,
            "supervised.batch_size": 2,
            "supervised.warmup_steps": 0,
            "supervised.crop_width": 32,
            "supervised.crop_height": 32,
            "checkpoint_every": 1,
            "evaluate_every": 50,
            "log_every": 1,
            "tensorboard": "off",
        }
    )


def test_a_run_that_stops_and_goes_on_ends_like_one_that_does_not(
    config: CorrectionTrainConfig, tmp_path: Path
) -> None:
    weights = []
    for stop in (False, True):
        out = RunFolder(tmp_path / str(stop))
        outcome = train(CorrectionTask(config, context_of()), out, None, context_of())
        assert outcome.step == 4 and outcome.skipped == 0
        if stop:  # forget the last step
            for path in out.states.iterdir():
                if path.name > "step_00000003.safetensors":
                    path.unlink()
            state = load_last_state(out.states)
            assert state is not None and state.step == 3
            train(CorrectionTask(config, context_of()), out, state, context_of())
        weights.append(load_correction(out.weights).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    names = {"abs_rel", "before.abs_rel", "within_5", "rendered.before.within_5"}
    assert names <= set(outcome.validation)
    assert 0 < outcome.validation["rendered.abs_rel"] == outcome.validation["abs_rel"]


def test_it_learns(config: CorrectionTrainConfig) -> None:
    context = context_of()
    more = config.with_values({"supervised.steps": 30, "supervised.learning_rate": 2e-3})
    task = CorrectionTask(more, context)
    torch.manual_seed(0)
    learner = Learner(task, task.build_modules(fresh=True), context)
    (stage,) = stages_of(more)
    batch = task.build_data()[stage.name].batch(0, 0)
    results = [learner.step(step, stage, batch, stop=False) for step in range(30)]
    assert results[-1].loss < results[0].loss
    assert results[-1].terms["depth"] < 0.7 * results[0].terms["depth"]


def test_a_run_begins_with_given_weights(config: CorrectionTrainConfig, tmp_path: Path) -> None:
    path = save_correction(CorrectionNet(), tmp_path / "first.safetensors", {})
    begun = config.with_values({"initial_weights": str(path)})
    modules = CorrectionTask(begun, context_of()).build_modules(fresh=True)
    wanted = load_correction(path).state_dict()
    assert all(
        torch.equal(value, wanted[name]) for name, value in modules.result.state_dict().items()
    )
    assert all(value.requires_grad for value in modules.trained.parameters())
    assert modules.trained.training


def test_weights_that_are_missing_are_refused_before_anything_is_recorded(
    config: CorrectionTrainConfig,
) -> None:
    task = CorrectionTask(config.with_values({"correct_with": "none.safetensors"}), context_of())
    with pytest.raises(DepthError, match=r"none\.safetensors"):
        task.build_data()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"validation\.first_seed.*not learned from"):
        CorrectionTrainConfig().with_values({"validation.first_seed": 70000})
    with pytest.raises(ConfigError, match=r"rate_min_hz.*swap the two"):
        CorrectionTrainConfig().with_values({"walks.rate_min_hz": 10.0})
