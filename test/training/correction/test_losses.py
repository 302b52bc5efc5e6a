"""The losses of the learned correction."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.training.correction.batch import CorrectionBatch
from e2e_slam_ros.training.correction.losses import (
    depth_loss,
    gradient_loss,
    likelihood_loss,
    log_error,
)


def batch_of(depth: torch.Tensor, truth: torch.Tensor) -> CorrectionBatch:
    height, width = depth.shape[-2] // 2, depth.shape[-1] // 2
    coarse = torch.zeros(1, 26, height, width)
    return CorrectionBatch(coarse, torch.zeros(1, 13, 2 * height, 2 * width), depth, truth)


def test_truth_that_is_unknown_or_far_away_teaches_nothing() -> None:
    truth = torch.full((1, 1, 16, 16), 2.0)
    truth[..., :4], truth[..., 4:6] = 0.0, 20.0
    change = torch.zeros(1, 1, 16, 16, requires_grad=True)
    error, known = log_error(change, batch_of(torch.full((1, 1, 16, 16), 2.4), truth))
    assert float(known.mean()) == 10 / 16 and (error[..., :6] == 0).all()
    (depth_loss(error, known) + gradient_loss(error, known)).backward()
    assert change.grad is not None and (change.grad[..., :6] == 0).all()
    assert float(depth_loss(error, known).detach()) == pytest.approx(0.1823, abs=1e-3)


def test_a_batch_without_truth_still_depends_on_the_answer() -> None:
    nothing = torch.zeros(1, 1, 8, 8)
    change, stated = (torch.zeros(1, 1, n, n, requires_grad=True) for n in (8, 4))
    error, known = log_error(change, batch_of(nothing, nothing))
    total = depth_loss(error, known) + gradient_loss(error, known)
    total = total + likelihood_loss(stated, error, known)
    total.backward()
    assert float(total.detach()) == 0.0
    for value in (change, stated):
        assert value.grad is not None and (value.grad == 0).all()


def test_gradients_see_shapes_and_no_common_factor() -> None:
    known = torch.ones(1, 1, 16, 16)
    even = torch.full((1, 1, 16, 16), 0.5)
    step = even.clone()
    step[..., 8:] = 0.0
    assert float(gradient_loss(even, known)) == 0.0 < float(gradient_loss(step, known))
    hidden = known.clone()
    hidden[..., 6:10] = 0.0
    assert float(gradient_loss(step * hidden, hidden)) < float(gradient_loss(step, known))


def test_the_stated_error_learns_and_depth_does_not() -> None:
    change = torch.full((1, 1, 8, 8), 0.1, requires_grad=True)
    depth = torch.full((1, 1, 8, 8), 2.0)
    error, known = log_error(change, batch_of(depth, depth))
    stated = torch.full((1, 1, 4, 4), -1.0, requires_grad=True)
    likelihood_loss(stated, error, known).backward()
    assert change.grad is None and stated.grad is not None and bool((stated.grad > 0).all())
    exact = torch.tensor(0.1).log().expand(1, 1, 4, 4).clone().requires_grad_()
    likelihood_loss(exact, error, known).backward()
    assert exact.grad is not None and float(exact.grad.abs().max()) < 1e-5
