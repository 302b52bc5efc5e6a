"""The pose network: rigid motions of a plausible size."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.se3 import exp, inverse
from e2e_slam_ros.training.sc_sfm.pose_net import PoseNet
from training.conftest import wall_batch


def test_the_pose_network_gives_rigid_motions_of_a_plausible_size() -> None:
    for encoder in ("small", "resnet18"):
        batch = wall_batch(2, 5)
        T = PoseNet(encoder)(batch.image, batch.source)
        assert torch.allclose(T @ inverse(T), torch.eye(4).expand(2, 4, 4), atol=1e-5)
        assert T[:, :3, 3].abs().max() < 0.2
    assert torch.equal(exp(torch.zeros(1, 6))[0], torch.eye(4))
