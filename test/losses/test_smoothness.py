"""Edge-aware smoothness."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.losses.smoothness import smoothness
from losses.views import textured


def test_a_ramp_costs_its_slope_over_its_mean() -> None:
    ramp = (1 + 0.5 * torch.arange(5.0)).expand(1, 1, 4, 5)
    grey = torch.full((1, 3, 4, 5), 0.5)
    assert smoothness(ramp, grey).item() == pytest.approx(0.5 / 2.0)
    assert smoothness(ramp.transpose(2, 3), grey.transpose(2, 3)).item() == pytest.approx(0.25)
    assert smoothness(torch.full_like(ramp, 0.7), grey).item() == 0.0


def test_the_scale_of_depth_does_not_matter() -> None:
    depth, image = textured(0)[:, :1], textured(1)
    assert smoothness(7 * depth, image).item() == pytest.approx(smoothness(depth, image).item())


def test_a_step_on_an_image_edge_is_excused() -> None:
    step = torch.ones(1, 1, 4, 6)
    step[..., 3:] = 3.0
    on_edge, beside, grey = (torch.full((1, 3, 4, 6), 0.2) for _ in range(3))
    on_edge[..., 3:] = 0.8
    beside[..., 2:] = 0.8
    plain = smoothness(step, grey).item()
    assert smoothness(step, beside).item() == pytest.approx(plain)
    assert smoothness(step, on_edge).item() == pytest.approx(plain * math.exp(-0.6))
    assert smoothness(step, on_edge, 10.0).item() == pytest.approx(plain * math.exp(-6), rel=1e-4)


def test_steps_to_unknown_pixels_do_not_count() -> None:
    depth = torch.full((1, 1, 4, 5), 0.5)
    depth[..., 1, 1], depth[..., 2, 3] = 0.0, float("nan")
    depth.requires_grad_()
    loss = smoothness(depth, torch.full((1, 3, 4, 5), 0.5))
    loss.backward()
    assert loss.item() == 0.0
    assert depth.grad is not None and bool(torch.isfinite(depth.grad).all())


def test_each_image_of_a_batch_has_its_own_mean() -> None:
    depth, image = textured(0)[:, :1], textured(1)
    batch = torch.cat([depth, 9 * depth])
    both = smoothness(batch, torch.cat([image, image]))
    assert both.item() == pytest.approx(smoothness(depth, image).item())


def test_gradients_are_exact() -> None:
    depth, image = textured(2, 4, 5)[:, :1].requires_grad_(), textured(3, 4, 5)
    assert torch.autograd.gradcheck(lambda x: smoothness(x, image, 5.0), depth)
