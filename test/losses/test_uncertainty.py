"""The Laplace loss of the uncertainty head."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.losses.uncertainty import uncertainty_loss
from losses.views import textured

EVERYWHERE = torch.ones(1, 1, 12, 16, dtype=torch.bool)


def test_it_is_least_where_the_uncertainty_is_the_error() -> None:
    error = textured()[:, :1]
    best = uncertainty_loss(error, error.log(), EVERYWHERE)
    assert best.item() == pytest.approx((1 + error.log()).mean().item())
    for factor in (0.7, 1.4):
        assert uncertainty_loss(error, (factor * error).log(), EVERYWHERE) > best


def test_only_valid_pixels_count() -> None:
    error, log_u = torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2)
    valid = torch.tensor([[[[True, False], [True, False]]]])
    error[~valid], log_u[~valid] = float("nan"), float("inf")
    log_u.requires_grad_()
    loss = uncertainty_loss(error, log_u, valid)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert log_u.grad is not None  # (1 - e / u) / 2 pixels
    assert log_u.grad.flatten().tolist() == pytest.approx([0.25, 0.0, 0.25, 0.0])
    assert uncertainty_loss(error, log_u, valid & False).item() == 0.0


def test_no_error_at_all_has_a_bottom() -> None:
    log_u = torch.full((1, 1, 2, 2), -80.0, requires_grad=True)
    loss = uncertainty_loss(torch.zeros(1, 1, 2, 2), log_u, torch.ones(1, 1, 2, 2).bool())
    assert loss.item() == pytest.approx(-7.0)
    large = uncertainty_loss(torch.ones(1, 1, 2, 2), log_u, torch.ones(1, 1, 2, 2).bool())
    assert large.item() == pytest.approx(math.exp(7) - 7, rel=1e-5)


def test_gradients_are_exact() -> None:
    error = textured(1, 4, 5)[:, :1].requires_grad_()
    log_u = textured(2, 4, 5)[:, :1].log().requires_grad_()
    valid = textured(3, 4, 5)[:, :1] > 0.4
    assert torch.autograd.gradcheck(lambda e, u: uncertainty_loss(e, u, valid), (error, log_u))
