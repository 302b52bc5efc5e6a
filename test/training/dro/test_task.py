"""DRO's training: it learns, and goes on exactly where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.training.dro.config import DroTrainConfig
from e2e_slam_ros.training.dro.task import DroTask
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.run import train
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.state import load_last_state
from training.running import context_of


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DroTrainConfig:
    """Three steps of each stage on two small walks."""
    cache = str(tmp_path_factory.mktemp("walks"))
    small = {"rooms": 1, "frames": 7, "width": 96, "height": 64, "texture_size": 64}
    values: dict[str, object] = {"walks.cache": cache, "validation.cache": cache}
    for part in ("walks", "validation"):
        values |= {f"{part}.{name}": value for name, value in small.items()}
    for stage in ("held", "poses", "joint", "images"):
        values |= {
            f"{stage}.steps": 2,
            f"{stage}.batch_size": 1,
            f"{stage}.iterations": 4,
            f"{stage}.warmup_steps": 0,
        }
    return DroTrainConfig().with_values(values)


def run(config: DroTrainConfig, out: Path, resume: bool = False) -> dict[str, torch.Tensor]:
    folder = RunFolder(out)
    out.mkdir(exist_ok=True)
    context = context_of()
    state = load_last_state(folder.states) if resume else None
    train(DroTask(config, context), folder, state, context)
    return load_dro(folder.weights).state_dict()


def test_all_stages_run_and_a_resumed_run_is_the_same(
    config: DroTrainConfig, tmp_path: Path
) -> None:
    straight = run(config, tmp_path / "straight")
    first = config.with_values({"joint.steps": 0, "images.steps": 0})
    run(first, tmp_path / "parts")
    parts = run(config, tmp_path / "parts", resume=True)
    assert all(torch.equal(straight[name], parts[name]) for name in straight)
    text = (tmp_path / "straight" / "metrics.jsonl").read_text()
    assert '"held_12.abs_rel"' in text and '"two_view_0.rotation_deg"' in text


def test_the_stage_of_the_poses_leaves_the_depth_alone(config: DroTrainConfig) -> None:
    only = config.with_values({"held.steps": 0, "joint.steps": 0, "images.steps": 0})
    context = context_of()
    task = DroTask(only, context)
    learner = Learner(task, task.build_modules(fresh=True), context)
    before = {n: v.clone() for n, v in learner.tensors().items() if n.startswith("objective.")}
    (stage,) = stages_of(only)
    data = task.build_data()
    for step in range(2):
        learner.step(step, stage, data[stage.name].batch(step, 0), stop=False)
    changed = {
        name.split(".")[1]
        for name, value in learner.tensors().items()
        if name in before and not torch.equal(before[name], value)
    }
    assert changed and changed <= {"pair_context", "pose_head", "pose_optimiser"}


def test_it_learns(config: DroTrainConfig) -> None:
    only = config.with_values(
        {
            "poses.steps": 0,
            "joint.steps": 0,
            "images.steps": 0,
            "held.steps": 25,
            "held.learning_rate": 2e-3,
            "held.guided_share": 0.0,
            "groups.mirror": 0.0,
        }
    )
    context = context_of()
    task = DroTask(only, context)
    torch.manual_seed(0)
    learner = Learner(task, task.build_modules(fresh=True), context)
    (stage,) = stages_of(only)
    batch = task.build_data()[stage.name].batch(0, 0)
    losses = [learner.step(step, stage, batch, stop=False).loss for step in range(25)]
    assert losses[-1] < 0.7 * losses[0]
