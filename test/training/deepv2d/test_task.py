"""`e2e-slam train deepv2d` and `coopnet`: each stage learns, resumes, validates and exports."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d
from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.registry import recipe_config, task_type
from e2e_slam_ros.training.run import train
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.state import load_last_state
from training.running import context_of

SMALL = [
    "clips.rooms=1", "clips.clips_per_room=2", "clips.frames=3", "clips.width=64",
    "clips.height=48", "clips.texture_size=64", "validation.clips=1", "threads=1",
    "log_every=1", "checkpoint_every=1", "evaluate_every=50", "tensorboard=off",
]  # fmt: skip
STEPS = {
    "deepv2d": ["most_views=3", "motion.steps=1", "depth.steps=2", "joint.steps=1",
                *(f"{s}.batch_size=1" for s in ("motion", "depth", "joint"))],
    "coopnet": ["labelled.steps=2", "together.steps=2", "labelled.batch_size=2",
                "together.batch_size=2", "depth_network=small"],
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def config_of(name: str, cache: Path, *more: str) -> TrainConfig:
    given = [*SMALL, *STEPS[name], f"clips.cache={cache}", *more]
    return recipe_config(name).with_assignments(given)


@pytest.mark.parametrize("name", ["deepv2d", "coopnet"])
def test_a_run_that_stops_and_goes_on_ends_like_one_that_does_not(
    name: str, cache: Path, tmp_path: Path
) -> None:
    weights = []
    for stop in (None, 2):
        out = RunFolder(tmp_path / str(stop))
        config = config_of(name, cache)
        outcome = train(task_type(name)(config, context_of()), out, None, context_of())
        assert outcome.step == outcome.steps == 4 and outcome.skipped == 0
        assert outcome.validation and all(v == v for v in outcome.validation.values())
        if stop is not None:  # forget what came after the third step
            for path in out.states.iterdir():
                if path.name > "step_00000003.safetensors":
                    path.unlink()
            state = load_last_state(out.states)
            assert state is not None and state.step == 3
            again = train(task_type(name)(config, context_of()), out, state, context_of())
            assert again.step == 4
        state = load_last_state(out.states)
        assert state is not None
        weights.append(state.tensors)
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-4, atol=1e-5)
    if name == "deepv2d":
        assert load_deepv2d(out.weights).architecture.name == "light"


def test_views_that_no_clip_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="least_views <= most_views <= clips.frames"):
        recipe_config("deepv2d").with_assignments(["most_views=9"])
    with pytest.raises(ConfigError, match="multiples of 4"):
        recipe_config("deepv2d").with_assignments(["clips.width=130"])
