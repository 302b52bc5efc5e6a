"""Weak supervision by sparse depth."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.losses.sparse_depth import DepthSpace, sparse_depth_loss
from losses.views import textured


def sparse_pixels() -> torch.Tensor:
    sparse = torch.zeros(1, 1, 4, 5)
    sparse[..., 0, 0], sparse[..., 2, 3] = 1.0, 4.0
    sparse[..., 3, 3] = float("nan")
    return sparse


@pytest.mark.parametrize(
    ("space", "expected"),
    [("metric", (1 + 2) / 2), ("log", math.log(2)), ("inverse", (0.5 + 0.25) / 2)],
)
def test_it_is_the_mean_difference_in_the_chosen_space(space: DepthSpace, expected: float) -> None:
    depth = torch.full((1, 1, 4, 5), 2.0)
    assert sparse_depth_loss(depth, sparse_pixels(), space=space).item() == pytest.approx(expected)


def test_confidence_weighs() -> None:
    depth = torch.full((1, 1, 4, 5), 2.0)
    confidence = torch.zeros(1, 1, 4, 5)
    confidence[..., 0, 0], confidence[..., 2, 3], confidence[..., 1, 1] = 0.9, 0.3, 5.0
    loss = sparse_depth_loss(depth, sparse_pixels(), confidence, "metric")
    assert loss.item() == pytest.approx((0.9 * 1 + 0.3 * 2) / 1.2)
    assert sparse_depth_loss(depth, sparse_pixels(), 0 * confidence).item() == 0.0


def test_no_known_pixel_costs_nothing() -> None:
    depth = torch.full((1, 1, 4, 5), 2.0, requires_grad=True)
    loss = sparse_depth_loss(depth, torch.zeros(1, 1, 4, 5))
    loss.backward()
    assert loss.item() == 0.0 and depth.grad is not None
    assert float(depth.grad.abs().max()) == 0.0


@pytest.mark.parametrize("space", ["metric", "log", "inverse"])
def test_gradients_are_exact_and_only_at_known_pixels(space: DepthSpace) -> None:
    depth = (1 + textured(0, 4, 5)[:, :1]).requires_grad_()
    sparse = sparse_pixels().double()
    assert torch.autograd.gradcheck(
        lambda x: sparse_depth_loss(x, sparse, space=space), depth, atol=1e-6
    )
    broken = depth.detach().clone()
    broken[..., 1, 1], broken[..., 0, 0] = float("nan"), 0.0
    broken.requires_grad_()
    sparse_depth_loss(broken, sparse, space=space).backward()
    assert broken.grad is not None and bool(torch.isfinite(broken.grad).all())
    assert torch.nonzero(broken.grad[0, 0]).tolist() == [[2, 3]]
