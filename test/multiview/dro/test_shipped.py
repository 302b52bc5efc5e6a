"""The weights of the package, on rooms that they have not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.evaluation.trajectory.motion_errors import motion_errors
from e2e_slam_ros.multiview.dro.cost_map import cost_map
from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.optimiser import pooled
from e2e_slam_ros.multiview.dro.source import SHIPPED, SHIPPED_POSES
from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.group_sampler import KeptWalks
from e2e_slam_ros.training.dro.groups import group
from e2e_slam_ros.training.dro.walk_config import WalkConfig
from e2e_slam_ros.training.dro.walks import Walks


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[DroBatch]:
    """Groups of two rooms, four neighbours each, with exact poses."""
    cache = str(tmp_path_factory.mktemp("walks"))
    walks = Walks(WalkConfig(rooms=2, first_seed=91000, frames=9, cache=cache, pose_noise_m=0.0))
    kept = KeptWalks([walks.walk(0), walks.walk(1)])
    return [group(kept.walk(number), frame, 4, None) for number in (0, 1) for frame in (5, 8)]


def mean_cost(network: DroNetwork, batch: DroBatch, depth: torch.Tensor) -> float:
    features = network.base(batch.image[0])[None]
    k = batch.intrinsics.clone()
    k[..., :2, :2] /= 2
    k[..., :2, 2] = (k[..., :2, 2] + 0.5) / 2 - 0.5
    half = pooled(depth.log(), 2).exp()
    mean, _ = cost_map(features, half, batch.T_i_0, k).mean()
    return float(mean.mean())


@torch.inference_mode()
def test_cost_and_error_fall_on_rooms_not_seen(groups: list[DroBatch]) -> None:
    network = load_dro(SHIPPED)
    costs, errors = torch.zeros(2), torch.zeros(2)
    for batch in groups:
        guide, _ = depth_guide(batch.single, batch.stereo, torch.zeros_like(batch.weight))
        stages = network(batch.views, 4, batch.T_i_0, guide)
        for number, stage in enumerate((stages[0], stages[-1])):
            costs[number] += mean_cost(network, batch, stage.depth)
            errors[number] += float(((stage.depth - batch.depth).abs() / batch.depth).mean())
    assert costs[1] < 0.95 * costs[0]
    assert errors[1] < 0.85 * errors[0]


@torch.inference_mode()
def test_unknown_poses_are_found_in_rooms_not_seen(groups: list[DroBatch]) -> None:
    network = load_dro(SHIPPED_POSES)
    errors = torch.zeros(2, 2)
    for batch in groups:
        guide, _ = depth_guide(batch.single, batch.stereo, torch.zeros_like(batch.weight))
        stages = network(batch.first(1).views, 8, None, guide)
        for number, stage in enumerate((stages[0], stages[-1])):
            errors[number] += torch.tensor(motion_errors(stage.T_i_0[0, 0], batch.T_i_0[0, 0]))
    rotation_deg, direction_deg = (errors[1] / len(groups)).tolist()
    assert rotation_deg < 0.5 * float(errors[0, 0]) / len(groups)
    assert direction_deg < 30.0


@pytest.mark.parametrize("path", [SHIPPED, SHIPPED_POSES])
def test_the_files_are_small(path: Path) -> None:
    assert path.stat().st_size < 20e6
