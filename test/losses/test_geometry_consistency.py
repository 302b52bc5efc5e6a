"""Agreement of two views' depths."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.geometry.warp import Warp, inverse_warp
from e2e_slam_ros.losses.geometry_consistency import geometry_consistency
from synthetic import CAMERA, pose, wall_depth

TARGET, SOURCE = pose(), pose(x=0.15, z=0.2, yaw_deg=6.0)


def warp(depth: torch.Tensor) -> Warp:
    k = CAMERA.matrix(dtype=depth.dtype)
    grey = torch.full((1, 3, 48, 64), 0.5, dtype=depth.dtype)
    return inverse_warp(grey, depth, (SOURCE.inverse() @ TARGET)[None], k, k)


def test_two_true_depths_agree() -> None:
    result = geometry_consistency(warp(wall_depth(TARGET)), wall_depth(SOURCE))
    assert float(result.valid_share) > 0.6
    assert result.loss.item() < 1e-3  # a turned plane's depth is interpolated
    assert bool((result.mask > 0.99).all())


def test_the_difference_is_over_the_sum() -> None:
    depth = wall_depth(TARGET)
    k = CAMERA.matrix()
    same = inverse_warp(depth, depth, torch.eye(4)[None], k, k)
    result = geometry_consistency(same, 3 * depth)
    assert result.loss.item() == pytest.approx(0.5)  # |1 - 3| / (1 + 3)
    assert torch.allclose(result.mask, torch.tensor(0.5))
    assert geometry_consistency(same, depth / 3).loss.item() == pytest.approx(0.5)


def test_the_mask_finds_what_moved_in_front() -> None:
    source = wall_depth(SOURCE)
    source[..., 10:30, 20:40] = 0.8
    result = geometry_consistency(warp(wall_depth(TARGET)), source)
    moved = result.difference > 0.2
    assert 0.05 < float(moved.float().mean()) < 0.2
    assert float(result.mask[moved].max()) < 0.8 and not result.mask.requires_grad


def test_pixels_beside_unknown_depth_are_not_compared() -> None:
    source = wall_depth(SOURCE)
    source[..., 20:22, 30:33] = 0.0
    source[..., 5, 5] = float("nan")
    result = geometry_consistency(warp(wall_depth(TARGET)), source)
    assert result.loss.item() < 1e-3 and bool((result.difference < 0.01).all())
    nothing = geometry_consistency(warp(wall_depth(TARGET)), torch.zeros_like(source))
    assert nothing.loss.item() == 0.0 and float(nothing.valid_share) == 0.0


def test_gradients_reach_both_depths_and_are_finite_beside_holes() -> None:
    target, source = wall_depth(TARGET), wall_depth(SOURCE)
    source[..., 20, 30], target[..., 7, 7] = 0.0, 0.0
    target.requires_grad_()
    source.requires_grad_()
    geometry_consistency(warp(target * 1.1), source).loss.backward()
    assert target.grad is not None and source.grad is not None
    for gradient in (target.grad, source.grad):
        assert bool(torch.isfinite(gradient).all()) and float(gradient.abs().max()) > 0
    assert float(target.grad.sum()) > 0 > float(source.grad.sum())  # too far: bring them together


def test_gradients_are_exact() -> None:
    factor = torch.tensor(1.07, dtype=torch.float64, requires_grad=True)
    target, source = wall_depth(TARGET).double(), wall_depth(SOURCE).double()
    assert torch.autograd.gradcheck(
        lambda f: geometry_consistency(warp(target * f), source / f).loss, factor
    )
