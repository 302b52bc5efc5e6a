"""The depth regulariser."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.losses.regulariser import depth_regulariser
from losses.views import textured


def test_it_is_gamma_times_the_mean_step() -> None:
    initial = 2 + textured()[:, :1]
    loss = depth_regulariser(initial, initial + 0.3, gamma=0.1)
    assert loss.item() == pytest.approx(0.03)


@pytest.mark.parametrize("scale", [1.0, 7.36, torch.tensor(7.36)])
def test_unchanged_depth_costs_nothing_whatever_the_scale(scale: torch.Tensor | float) -> None:
    # Defect 3: the published code compared D_0 with s D_i, so standing still cost |1 - s| D_0.
    initial = 2 + textured()[:, :1]
    current = initial.clone().requires_grad_()
    loss = depth_regulariser(initial, current, scale=scale)
    loss.backward()
    assert loss.item() == 0.0
    assert current.grad is not None and float(current.grad.abs().max()) == 0.0
    defective = 1e-2 * (initial - scale * current).abs().mean()
    assert float(scale) == 1.0 or defective > 0.05


def test_the_step_is_measured_in_metres() -> None:
    initial = 2 + textured()[:, :1]
    once = depth_regulariser(initial, 1.1 * initial)
    assert depth_regulariser(initial, 1.1 * initial, scale=3.0).item() == pytest.approx(3 * once)
    # The same metres in other units of the network cost the same.
    assert depth_regulariser(initial / 3, 1.1 * initial / 3, scale=3.0).item() == pytest.approx(
        once.item()
    )


def test_only_pixels_that_both_know_count() -> None:
    initial, current = torch.full((1, 1, 2, 2), 2.0), torch.full((1, 1, 2, 2), 2.5)
    initial[..., 0, 0], current[..., 0, 1] = 0.0, float("nan")
    current[..., 1, 0] = 3.0
    current.requires_grad_()
    loss = depth_regulariser(initial, current, gamma=1.0)
    loss.backward()
    assert loss.item() == pytest.approx(0.75)
    assert current.grad is not None
    assert current.grad.flatten().tolist() == [0.0, 0.0, 0.5, 0.5]


def test_gradients_go_to_the_refined_depth_only() -> None:
    initial = (2 + textured(1)[:, :1]).requires_grad_()
    current = (2 + textured(2)[:, :1]).requires_grad_()
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: depth_regulariser(initial.detach(), x), current)
    depth_regulariser(initial, current, scale=scale).backward()
    assert initial.grad is None and scale.grad is None and current.grad is not None
