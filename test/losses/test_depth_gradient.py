"""Steps in depth: closed forms, and independence of scale and missing labels."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.losses.depth_gradient import depth_gradient_loss


def test_a_tilt_costs_its_slope_at_every_scale() -> None:
    error = 0.1 * torch.arange(32.0).expand(1, 1, 32, 32)
    everywhere = torch.ones_like(error, dtype=torch.bool)
    # Every second pixel: the step doubles with each scale.
    assert float(depth_gradient_loss(error, everywhere, 4)) == pytest.approx(0.1 * (1 + 2 + 4 + 8))


def test_a_factor_on_the_depth_costs_nothing() -> None:
    torch.manual_seed(0)
    error, valid = torch.randn(2, 1, 16, 16), torch.rand(2, 1, 16, 16) > 0.3
    assert torch.allclose(
        depth_gradient_loss(error, valid), depth_gradient_loss(error + 2.0, valid), atol=1e-5
    )
    assert float(depth_gradient_loss(torch.full_like(error, 0.7), valid)) == 0.0


def test_only_pairs_of_known_neighbours_count() -> None:
    error = torch.zeros(1, 1, 8, 8)
    error[..., 4] = 5.0
    valid = torch.ones_like(error, dtype=torch.bool)
    valid[..., 4] = False
    assert float(depth_gradient_loss(error, valid)) == 0.0
    guess = error.clone().requires_grad_(True)
    depth_gradient_loss(guess, torch.zeros_like(valid)).backward()
    assert guess.grad is not None and not guess.grad.any()


def test_small_maps_use_the_scales_they_have() -> None:
    error = torch.tensor([[[[0.0, 1.0]]]])
    assert float(depth_gradient_loss(error, torch.ones_like(error, dtype=torch.bool), 8)) == 1.0
