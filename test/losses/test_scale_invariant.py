"""Eigen's loss against its definition, and what a factor and missing labels do to it."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.losses.scale_invariant import (
    log_depth_error,
    scale_invariant_loss,
    usable_labels,
)


def maps(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    depth, target = torch.rand(3, 1, 16, 20) + 0.5, torch.rand(3, 1, 16, 20) + 0.5
    return depth, target, torch.rand(3, 1, 16, 20) > 0.4


def test_it_is_eigens_equation_4() -> None:
    depth, target, valid = maps()
    expected = 0.0
    for image in range(3):
        d = (depth[image].log() - target[image].log())[valid[image]].double()
        # Eigen et al., eq. 3, as the double sum over pairs of pixels: lambda = 1.
        expected += float(((d[:, None] - d[None]) ** 2).mean().mul(0.5).sqrt()) / 3
    error = log_depth_error(depth, target, valid)
    assert float(scale_invariant_loss(error, valid, 1.0)) == pytest.approx(expected, rel=1e-5)


def test_a_factor_costs_nothing_with_balance_one_and_something_below() -> None:
    depth, target, valid = maps()
    for balance, same in ((1.0, True), (0.5, False)):
        one = scale_invariant_loss(log_depth_error(depth, target, valid), valid, balance)
        two = scale_invariant_loss(log_depth_error(3 * depth, target, valid), valid, balance)
        assert torch.allclose(one, two, rtol=1e-4) == same


def test_missing_labels_and_images_without_any_do_not_count() -> None:
    depth, target, valid = maps()
    valid[2] = False
    loss = scale_invariant_loss(log_depth_error(depth, target, valid), valid)
    torn = torch.where(valid, target, torch.nan)
    assert torch.equal(loss, scale_invariant_loss(log_depth_error(depth, torn, valid), valid))
    two = scale_invariant_loss(log_depth_error(depth[:2], target[:2], valid[:2]), valid[:2])
    assert torch.allclose(loss, two)


def test_gradients_are_finite_without_labels_and_at_the_solution() -> None:
    depth, target, valid = maps()
    for mask, truth in ((torch.zeros_like(valid), target), (valid, depth.clone())):
        guess = depth.clone().requires_grad_(True)
        scale_invariant_loss(log_depth_error(guess, truth, mask), mask).backward()
        assert guess.grad is not None and torch.isfinite(guess.grad).all()
        assert not guess.grad[~mask].any()


def test_labels_out_of_range_are_not_used() -> None:
    target = torch.tensor([0.0, -1.0, 0.05, 1.0, 20.0, torch.nan, torch.inf]).view(1, 1, 1, 7)
    assert (
        usable_labels(target, 0.1, 10.0).flatten().tolist() == [False] * 3 + [True] + [False] * 3
    )
