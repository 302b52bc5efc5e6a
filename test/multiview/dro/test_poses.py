"""Pose updates of the light network: exact on a wall, harmless where images say nothing."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import backproject, project
from e2e_slam_ros.multiview.dro.pose_optimiser import PoseOptimiser
from e2e_slam_ros.multiview.dro.pose_search import search_rotations
from e2e_slam_ros.multiview.dro.shape import LIGHT, PAPER
from multiview.test_plane_sweep import CAMERA, view
from synthetic import pose

K = CAMERA.matrix().expand(1, 2, 3, 3)


def rotation_deg(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.rad2deg(se3.log(se3.inverse(a) @ b)[..., 3:].norm()))


def run(
    optimiser: PoseOptimiser,
    T: torch.Tensor,
    features: torch.Tensor,
    log_depth: torch.Tensor,
    updates: int,
) -> torch.Tensor:
    state = torch.zeros(1, LIGHT.hidden, *log_depth.shape[-2:])
    for _ in range(updates):
        state, T = optimiser(T, state, torch.zeros_like(state), features, log_depth, K)
    return T


@torch.inference_mode()
def test_an_untrained_optimiser_finds_the_pose_of_a_wall() -> None:
    views = [view(0, pose()), view(1, pose(x=0.1, y=0.03, yaw_deg=1.0))]
    truth = (se3.inverse(views[1].T_map_camera) @ views[0].T_map_camera).float()
    depth = views[0].sensor_depth
    assert depth is not None
    features = torch.stack([item.image[0] for item in views])[None]
    off = se3.exp(torch.tensor([0.0, 0.0, 0.0, math.radians(0.4), math.radians(0.5), 0.0]))
    start = (off @ truth).view(1, 1, 4, 4)
    found = run(PoseOptimiser(LIGHT).eval(), start, features, depth.log(), 12)[0, 0]
    # A wall can hardly tell a turn from a step aside: what counts is where its points are seen.
    points = backproject(depth, CAMERA.matrix()).flatten(2)[0].T

    def seen_at(T: torch.Tensor) -> torch.Tensor:
        return project(se3.transform_points(T, points).T[None], CAMERA.matrix())[0]

    def error_px(T: torch.Tensor) -> float:
        return float((seen_at(T) - seen_at(truth)).norm(dim=1).median())

    assert error_px(found) < 0.2 < 1.0 < error_px(start[0, 0])


@pytest.mark.parametrize("grey", [0.0, 0.5])
@torch.inference_mode()
def test_images_without_texture_leave_the_pose(grey: float) -> None:
    # The normal equations are singular.
    features = torch.full((1, 2, 3, 48, 64), grey)
    T = torch.eye(4).view(1, 1, 4, 4)
    found = run(PoseOptimiser(LIGHT).eval(), T, features, torch.zeros(1, 1, 48, 64), 4)
    assert torch.allclose(found, T, atol=1e-5)


@torch.inference_mode()
def test_views_without_overlap_leave_the_pose() -> None:
    T = se3.exp(torch.tensor([0.0, 0.0, -100.0, 0.0, math.pi - 0.1, 0.0])).view(1, 1, 4, 4)
    features = torch.rand(1, 2, 3, 48, 64)
    found = run(PoseOptimiser(LIGHT).eval(), T, features, torch.zeros(1, 1, 48, 64), 4)
    assert found.isfinite().all() and torch.allclose(found, T, atol=1e-3)


@torch.inference_mode()
def test_an_untrained_optimiser_of_the_paper_changes_nothing() -> None:
    optimiser, T = PoseOptimiser(PAPER).eval(), torch.eye(4).view(1, 1, 4, 4)
    state = torch.zeros(1, PAPER.hidden, 6, 8)
    features = torch.rand(1, 2, 128, 6, 8)
    found = optimiser(T, state, state, features, torch.zeros(1, 1, 6, 8), K)[1]
    assert torch.equal(found, T)


@pytest.mark.parametrize("yaw", [-7.5, 5.0])
@torch.inference_mode()
def test_the_search_finds_a_turn(yaw: float) -> None:
    views = [view(0, pose()), view(1, pose(yaw_deg=yaw))]
    depth = views[0].sensor_depth
    assert depth is not None
    images = torch.cat([item.image for item in views])
    coarse = torch.nn.functional.avg_pool2d(images, 4)[None]
    small = CAMERA.resized(40, 30).matrix().expand(1, 2, 3, 3)
    found = search_rotations(coarse, depth[..., ::4, ::4], small)[0, 0]
    truth = (se3.inverse(views[1].T_map_camera) @ views[0].T_map_camera).float()
    assert rotation_deg(found, truth) < 0.5


def moved_wall() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return features of two views of a wall, its log depth and the pose between them."""
    views = [view(0, pose()), view(1, pose(x=0.1, y=0.03, yaw_deg=1.0))]
    T = se3.inverse(views[1].T_map_camera) @ views[0].T_map_camera
    features = torch.cat([item.image for item in views])[None]
    depth = torch.full((1, 1, *features.shape[-2:]), 2.0)
    return features, depth.log(), T.float()[None, None]


def test_features_and_weights_learn_from_the_step() -> None:
    features, log_depth, T = moved_wall()
    features = features.clone().requires_grad_()
    optimiser = PoseOptimiser(LIGHT)
    found = run(optimiser, torch.eye(4).expand_as(T), features, log_depth, updates=3)
    (found - T).square().sum().backward()
    weight = optimiser.certainty.weight.grad
    assert features.grad is not None and bool(torch.isfinite(features.grad).all())
    assert float(features.grad.abs().sum()) > 0
    assert weight is not None and bool(torch.isfinite(weight).all())


@torch.inference_mode()
def test_poses_stay_exact_under_autocast() -> None:
    features, log_depth, T = moved_wall()
    optimiser, start = PoseOptimiser(LIGHT), torch.eye(4).expand_as(T)
    exact = run(optimiser, start, features, log_depth, updates=6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = run(optimiser, start, features, log_depth, updates=6)
    torch.testing.assert_close(reduced, exact, rtol=0, atol=1e-4)
