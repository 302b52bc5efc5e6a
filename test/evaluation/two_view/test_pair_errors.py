"""Errors of a pair, with figures calculated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from e2e_slam_ros.evaluation.two_view.pair_errors import pair_errors
from e2e_slam_ros.geometry import se3


def turned(T: torch.Tensor, degrees: float) -> torch.Tensor:
    twist = torch.tensor([0, 0, 0, 0, math.radians(degrees), 0], dtype=torch.float64)
    return T @ se3.exp(twist)


def true_motion() -> torch.Tensor:
    return se3.exp(torch.tensor([0.12, 0.0, 0.05, 0.02, -0.03, 0.01], dtype=torch.float64))


def test_depth_is_scaled_by_the_median_of_the_ratios() -> None:
    """Of eight pixels six are found at half their depth, and two at 0.6 of it."""
    truth = torch.tensor([1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0]).view(2, 4)
    depth = truth * torch.tensor([0.5] * 6 + [0.6] * 2).view(2, 4)
    errors = pair_errors(depth, true_motion(), truth, true_motion(), 0.1, 8.0)
    assert errors is not None
    assert errors.scale == pytest.approx(2.0)
    assert errors.depth.abs_rel == pytest.approx(0.25 * 0.2, rel=1e-5)
    assert errors.depth.sq_rel == pytest.approx(0.25 * 0.8**2 / 4.0, rel=1e-5)
    assert errors.depth.rmse == pytest.approx(0.8 * 0.5, rel=1e-5)
    assert errors.depth.rmse_log == pytest.approx(math.log(1.2) * 0.5, rel=1e-5)
    # The deviation of a value that is ln 1.2 for a quarter of the pixels, else 0.
    assert errors.sc_inv == pytest.approx(math.log(1.2) * math.sqrt(0.25 * 0.75), rel=1e-5)
    assert (errors.rotation_deg, errors.translation_cm) == pytest.approx((0.0, 0.0), abs=1e-5)
    assert errors.covered == 1.0


def test_unknown_pixels_and_depth_out_of_range_do_not_count() -> None:
    truth = torch.tensor([[2.0, 2.0, 2.0, 2.0, 0.0, 9.0, 0.05]])
    depth = torch.tensor([[1.0, 1.0, 0.0, torch.nan, 5.0, 5.0, 5.0]])
    errors = pair_errors(depth, true_motion(), truth, true_motion(), 0.1, 8.0)
    assert errors is not None
    assert (errors.depth.pixels, errors.scale, errors.covered) == (2, 2.0, 0.5)
    assert pair_errors(0 * depth, true_motion(), truth, true_motion(), 0.1, 8.0) is None


def test_the_motion_is_compared_without_its_length() -> None:
    """The found motion turns 2 degrees too far, and its direction is 30 degrees off."""
    true = true_motion()
    found = turned(true, 2.0)
    shift = true[:3, 3]
    across = torch.linalg.cross(shift, torch.tensor([0.0, 1.0, 0.0]).double())
    across = across / across.norm() * shift.norm()
    angle = math.radians(30.0)
    found[:3, 3] = 3.0 * (math.cos(angle) * shift + math.sin(angle) * across)
    one = torch.ones(2, 2)
    errors = pair_errors(one, found, one, true, 0.1, 8.0)
    assert errors is not None
    assert errors.rotation_deg == pytest.approx(2.0, abs=1e-5)
    assert errors.direction_deg == pytest.approx(30.0, abs=1e-5)
    length = 100.0 * float(np.linalg.norm(shift))
    assert errors.translation_cm == pytest.approx(length * math.sin(angle), abs=1e-5)


def test_no_translation_is_all_of_it_wrong() -> None:
    true = true_motion()
    found = true.clone()
    found[:3, 3] = 0.0
    errors = pair_errors(torch.ones(2, 2), found, torch.ones(2, 2), true, 0.1, 8.0)
    assert errors is not None
    assert errors.direction_deg == pytest.approx(90.0)
    assert errors.translation_cm == pytest.approx(100.0 * float(true[:3, 3].norm()))
