"""Regression tests for defects 3 to 6 of the published implementation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.config.refine import LossWeightsConfig, RefineConfig
from e2e_slam_ros.refine.network_strategy import NetworkStrategy
from e2e_slam_ros.refine.objective import TERMS, Objective
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_fit import groundtruth_median_scale
from e2e_slam_ros.refine.views import SparseLabels, at_width
from refine.scene import WALL_M, TinyNetwork, views

NONE = LossWeightsConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def no_pixels() -> torch.Tensor:
    return torch.zeros((1, 1, 48, 64), dtype=torch.bool)


def test_regulariser_is_zero_at_the_first_step_whatever_the_scale() -> None:
    config = RefineConfig(strategy="network", steps=2)
    config = replace(config, network=replace(config.network, width=64, height=64))
    network = TinyNetwork(WALL_M / 7.0)
    seen = replace(views(), scale=Scale(7.0))
    course = NetworkStrategy(network, "decoder", 2e-5).run(seen, config, 1.0).course
    assert course.trace[0, TERMS.index("regulariser")] == 0.0
    assert course.trace[-1, TERMS.index("regulariser")] > 0.0


def test_losses_can_correct_the_scale() -> None:
    # With a ratio recomputed inside the graph the gradient along the scale is zero.
    config = RefineConfig(weights=replace(NONE, labels=1.0))
    labels = SparseLabels(torch.full((1, 1, 48, 64), WALL_M), torch.ones((1, 1, 48, 64)))
    seen = replace(views(), labels=labels)
    working = at_width(seen, 64)
    scale = Scale(1.2)
    loss = Objective(working, working.depth, no_pixels(), config)
    logarithm = torch.zeros((), requires_grad=True)
    loss(scale(working.depth * logarithm.exp())).total.backward()
    assert logarithm.grad is not None
    assert float(logarithm.grad) == pytest.approx(1.0)


def test_the_scale_is_the_same_for_every_depth() -> None:
    scale = groundtruth_median_scale(torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 2, 2), 3.0))
    assert scale(torch.tensor(5.0)) == pytest.approx(15.0)


def test_moving_pixels_out_of_view_does_not_lower_the_loss() -> None:
    config = RefineConfig(weights=replace(NONE, photometric=1.0))
    working = at_width(views(1.1), 64)
    loss = Objective(working, working.depth, no_pixels(), config)
    start = float(loss(working.depth).total)
    # A depth of centimetres moves the right half's points out of the sources' images.
    half_gone = working.depth.clone()
    half_gone[..., 32:] = 0.05
    all_gone = torch.full_like(half_gone, 0.01)
    assert start > 0
    assert float(loss(half_gone).total) > start
    assert float(loss(all_gone).total) > start


def test_missing_depth_enters_no_median() -> None:
    depth = torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]).view(1, 1, 1, 7)
    truth = torch.tensor([3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 7)
    scale = groundtruth_median_scale(depth, truth)
    assert scale.factor == pytest.approx(3.0)
    assert scale.points == 3
    with pytest.raises(DepthError):
        groundtruth_median_scale(depth, torch.zeros_like(truth))
