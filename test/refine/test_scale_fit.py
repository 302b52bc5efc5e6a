"""Robust fits of a scale: closed forms."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.refine.scale_fit import fit_scale, fit_scale_and_shift, weighted_median
from e2e_slam_ros.refine.views import SparseLabels


def depths(count: int = 100) -> torch.Tensor:
    return torch.linspace(1.0, 4.0, count).view(1, 1, 1, count)


def test_weighted_median() -> None:
    values = torch.tensor([3.0, 1.0, 2.0])
    assert weighted_median(values, torch.ones(3)) == 2.0
    assert weighted_median(values, torch.tensor([5.0, 1.0, 1.0])) == 3.0
    assert weighted_median(values, torch.tensor([0.0, 1.0, 1.0])) == 1.5
    assert weighted_median(values, torch.tensor([2.0, 1.0, 1.0])) == 2.5


def test_scale_with_forty_percent_of_wrong_labels() -> None:
    truth = 2.5 * depths()
    truth[..., ::5] = 60.0
    truth[..., 1::5] = 0.2
    found = fit_scale(depths(), SparseLabels(truth, torch.ones_like(truth)))
    assert found.factor == pytest.approx(2.5, rel=1e-5)
    assert found.points == 100


def test_scale_and_shift_with_wrong_labels() -> None:
    truth = (0.5 / depths() + 0.1).reciprocal()
    truth[..., ::4] = 9.0
    found = fit_scale_and_shift(depths(), SparseLabels(truth, torch.ones_like(truth)))
    assert found.factor == pytest.approx(0.5, rel=1e-2)
    assert found.shift == pytest.approx(0.1, rel=2e-2)
    assert torch.allclose(found(depths())[..., 1], truth[..., 1], rtol=1e-2)


def test_a_wall_does_not_tell_scale_from_shift() -> None:
    wall = torch.full((1, 1, 4, 4), 2.0)
    found = fit_scale_and_shift(wall, SparseLabels(1.5 * wall, torch.ones_like(wall)))
    assert (found.factor, found.shift, found.inverse) == (pytest.approx(1.5), 0.0, False)


def test_too_few_labels_are_refused() -> None:
    labels = SparseLabels(depths(), torch.zeros_like(depths()))
    with pytest.raises(DepthError, match="labels"):
        fit_scale(depths(), labels)
