"""The scale of keyframe after keyframe."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.refine.metric_scale import MetricScale
from e2e_slam_ros.refine.views import SparseLabels
from refine.scene import WALL_M, views


def found(scale: MetricScale, said: float, labelled: bool = True) -> float:
    """Return the scale of a network that says ``said`` metres of the wall."""
    shape = (1, 1, 48, 64)
    weight = torch.ones(shape) if labelled else torch.zeros(shape)
    labels = SparseLabels(torch.full(shape, WALL_M) * weight, weight)
    seen = replace(views(), depth=torch.full(shape, said), labels=labels)
    return scale.find(seen, None, "said").alignment.scale


def metric_scale() -> MetricScale:
    return MetricScale(RefineConfig(), 0.1, 8.0)


def test_the_usual_scale_holds_where_a_keyframe_says_nothing() -> None:
    scale = metric_scale()
    for said in (1.0, 1.0, 0.8):
        found(scale, said)
    assert found(scale, 1.0, labelled=False) == pytest.approx(2.0)


def test_a_scale_follows_the_network_that_is_adapted() -> None:
    """Were it not so, what the network has learned would be taken for an outlier and held."""
    scale = metric_scale()
    for _ in range(5):
        assert found(scale, 1.0) == pytest.approx(2.0)
    scale.follow(1.9)
    assert found(scale, 1.0, labelled=False) == pytest.approx(2.0 / 1.9)
    assert found(scale, 1.9) == pytest.approx(2.0 / 1.9, rel=1e-4)
    held = metric_scale()
    for _ in range(5):
        found(held, 1.0)
    assert found(held, 1.9) == pytest.approx(2.0 / 1.3, rel=1e-4)
