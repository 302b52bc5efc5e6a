"""The losses of DRO (eq. 4-9), exact at the truth."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.dro.network import DroStage
from e2e_slam_ros.multiview.dro.views import DroViews
from e2e_slam_ros.training.dro.losses import (
    GAMMA,
    depth_loss,
    discounts,
    pose_loss,
    self_supervised_loss,
)
from multiview.test_plane_sweep import CAMERA, view
from synthetic import pose

K = CAMERA.matrix().expand(1, 2, 3, 3)


def pair() -> tuple[DroViews, torch.Tensor, torch.Tensor]:
    """Two views of a wall, the first one's depth, and T_i_0."""
    a, b = view(0, pose()), view(1, pose(x=0.2, y=0.02, yaw_deg=2.0))
    assert a.sensor_depth is not None
    T = (se3.inverse(b.T_map_camera) @ a.T_map_camera).float().view(1, 1, 4, 4)
    return DroViews(torch.stack([a.image, b.image], 1), K), a.sensor_depth, T


def test_stages_count_more_the_later_they_are() -> None:
    assert discounts(4) == [GAMMA**3, GAMMA**2, GAMMA, 1.0] and GAMMA == 0.85


@pytest.mark.parametrize("in_log", [True, False])
def test_depth_is_compared_where_it_is_known(in_log: bool) -> None:
    _, depth, T = pair()
    truth = depth.clone()
    truth[..., :40] = 0.0
    wrong = torch.where(truth > 0, depth, 9.0 * depth)
    stages = [DroStage(wrong.log(), T)] * 3
    assert depth_loss(stages, truth, in_log) < 1e-5


def test_depth_loss_is_the_discounted_l1_distance() -> None:
    truth = torch.full((1, 1, 4, 4), 2.0)
    stages = [DroStage((truth + e).log(), torch.eye(4).view(1, 1, 4, 4)) for e in (0.4, 0.1)]
    found = depth_loss(stages, truth, in_log=False)
    assert float(found) == pytest.approx(GAMMA * 0.4 + 0.1, abs=1e-5)


def test_pose_loss_is_zero_at_the_truth_and_grows() -> None:
    views, depth, T = pair()
    losses = []
    for step in (0.0, 0.005, 0.02):
        moved = se3.exp(torch.tensor([step, 0.0, 0.0, 0.0, step, 0.0])) @ T
        losses.append(float(pose_loss([DroStage(depth.log(), moved)], depth, T, K)))
    assert losses[0] < 1e-6 < losses[1] < losses[2]


def test_pose_loss_does_not_depend_on_the_unit_of_length() -> None:
    _, depth, T = pair()
    wrong = se3.exp(torch.tensor([0.01, 0.0, 0.02, 0.0, 0.01, 0.0])) @ T
    wrong_feet, T_feet = wrong.clone(), T.clone()
    wrong_feet[..., :3, 3] *= 3.28
    T_feet[..., :3, 3] *= 3.28
    metres = pose_loss([DroStage(depth.log(), wrong)], depth, T, K)
    feet = pose_loss([DroStage((3.28 * depth).log(), wrong_feet)], 3.28 * depth, T_feet, K)
    assert torch.allclose(metres, feet, rtol=1e-4)


def test_images_alone_prefer_the_true_depth() -> None:
    views, depth, T = pair()
    photometric = [
        float(self_supervised_loss([DroStage((f * depth).log(), T)], views)[1])
        for f in (0.7, 1.0, 1.4)
    ]
    assert photometric[1] < 0.6 * min(photometric[0], photometric[2])


def test_gradients_reach_depth_and_poses() -> None:
    views, depth, T = pair()
    log_depth = (1.1 * depth).log().requires_grad_()
    twist = torch.zeros(6, requires_grad=True)
    stage = DroStage(log_depth, se3.exp(twist) @ T)
    loss = self_supervised_loss([stage], views)[0] + pose_loss([stage], depth, T, K)
    (loss + depth_loss([stage], depth)).backward()
    for value in (log_depth, twist):
        assert value.grad is not None and value.grad.isfinite().all()
