"""A field of scales through labels: one factor, smooth fields, wrong labels."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.refine.ratio_field import ratio_field
from e2e_slam_ros.refine.views import SparseLabels

SIZE = (1, 1, 96, 128)


def shapes() -> torch.Tensor:
    """Depth with a slope and a step, 1.5 to 4 m."""
    v, u = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    return (1.5 + u / 100 + v / 200 + 0.7 * (u > 64))[None, None]


def some(share: float, seed: int = 0) -> torch.Tensor:
    return torch.rand(SIZE, generator=torch.Generator().manual_seed(seed)) < share


def labels_at(depth: torch.Tensor, where: torch.Tensor) -> SparseLabels:
    return SparseLabels(depth * where, where.float())


def metric(network: torch.Tensor, labels: SparseLabels) -> torch.Tensor:
    field = ratio_field(network, labels)
    return network * field.scale * field.logarithm.exp()


def test_one_factor_comes_out_exact() -> None:
    truth = shapes()
    labels = labels_at(truth, some(0.01))
    assert (labels.depth > 0).sum() > 50
    field = ratio_field(truth / 3.7, labels)
    assert field.scale == pytest.approx(3.7, rel=1e-5)
    torch.testing.assert_close(metric(truth / 3.7, labels), truth, rtol=1e-4, atol=0)


def test_a_smooth_field_is_recovered_across_a_step_of_the_scene() -> None:
    truth = shapes()
    u = torch.arange(128.0).expand(SIZE)
    network = truth / 2.0 * torch.exp(0.25 * torch.sin(u / 30))
    labels = labels_at(truth, some(0.1))
    error = (metric(network, labels) / truth - 1).abs()
    assert error.mean() < 0.015
    # One scale alone is ten times as far off.
    assert (network * ratio_field(network, labels).scale / truth - 1).abs().mean() > 0.1


@pytest.mark.parametrize("factor", [0.4, 2.0])
def test_wrong_labels_do_not_pull(factor: float) -> None:
    truth = shapes()
    where = some(0.3)
    wrong = some(0.3, seed=1)
    labels = labels_at(torch.where(wrong, factor * truth, truth), where)
    error = (metric(truth / 2.0, labels) / truth - 1).abs()
    assert error.mean() < 0.02
    assert error[~where].mean() < 0.01


def test_too_few_labels_change_nothing() -> None:
    field = ratio_field(shapes(), labels_at(shapes() * 2, some(0.001)))
    assert field.scale == 1.0
    assert field.logarithm.abs().max() == 0
