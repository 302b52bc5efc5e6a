"""The epipolar distance of true flow is 0, and of wrong flow what geometry says."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.training.coopnet.epipolar import (
    epipolar_distance,
    epipolar_loss,
    fundamental_matrix,
)
from synthetic import pose

K = torch.tensor([[[20.0, 0.0, 7.5], [0.0, 21.0, 5.5], [0.0, 0.0, 1.0]]], dtype=torch.float64)


def true_flow(T: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    depth = 1.0 + torch.rand(1, 1, 12, 16, dtype=torch.float64, generator=generator)
    warp = inverse_warp(depth, depth, T, K, K)
    return warp.uv - pixel_grid(12, 16, dtype=torch.float64)


@pytest.mark.parametrize("T", [pose(x=0.1), pose(x=0.05, y=0.1, z=0.2, yaw_deg=7.0)])
def test_flow_of_a_rigid_scene_lies_on_its_lines(T: torch.Tensor) -> None:
    assert epipolar_distance(true_flow(T[None]), T[None], K).abs().max() < 1e-9


def test_the_scale_of_the_motion_does_not_matter() -> None:
    T = pose(x=0.1, y=0.04, yaw_deg=3.0)[None]
    flow = true_flow(T) + 0.7
    longer = T.clone()
    longer[:, :3, 3] *= 10.0
    torch.testing.assert_close(
        epipolar_distance(flow, T, K), epipolar_distance(flow, longer, K), rtol=1e-9, atol=1e-9
    )


def test_m_is_the_fundamental_matrix() -> None:
    """Of rank 2, with the epipole as its left null vector."""
    T = pose(x=0.1, y=0.04, z=0.3, yaw_deg=3.0)[None]
    m = fundamental_matrix(T, K)[0]
    assert float(torch.linalg.det(m)) == pytest.approx(0.0, abs=1e-12)
    assert (K[0] @ T[0, :3, 3] @ m).abs().max() < 1e-9


def test_without_a_baseline_there_is_no_loss_and_no_wild_gradient() -> None:
    flow = torch.ones(1, 2, 12, 16, dtype=torch.float64, requires_grad=True)
    T = pose(yaw_deg=5.0)[None].requires_grad_()
    loss = epipolar_loss(flow, T, K, flow[:, :1] > 0)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert flow.grad is not None and torch.isfinite(flow.grad).all()
    assert T.grad is not None and torch.isfinite(T.grad).all()


def test_its_gradient_is_that_of_finite_differences() -> None:
    T = pose(x=0.1, y=0.04, yaw_deg=3.0)[None].requires_grad_()
    flow = (true_flow(T.detach()) + 0.7).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, t: epipolar_distance(f, t, K), (flow, T), fast_mode=True
    )


def test_only_counted_pixels_count() -> None:
    T = pose(x=0.1)[None]
    flow = torch.zeros(1, 2, 12, 16, dtype=torch.float64)
    flow[:, 1, :6] = 3.0
    counted = torch.zeros(1, 1, 12, 16) > 0
    assert float(epipolar_loss(flow, T, K, counted)) == 0.0
    counted = ~counted
    assert float(epipolar_loss(flow, T, K, counted)) == pytest.approx(1.5)
    counted[:, :, 6:] = False
    assert float(epipolar_loss(flow, T, K, counted)) == pytest.approx(3.0)
