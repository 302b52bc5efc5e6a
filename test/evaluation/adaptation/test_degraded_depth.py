"""The degraded depth is dense, wrong by a known amount, and the same each time."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.evaluation.adaptation.degraded_depth import DegradedDepth, degraded_depth
from synthetic import keyframe, pose

NO_VIEWS = Keyframes(1)


def test_it_is_dense_and_wrong_by_about_a_fifth() -> None:
    truth = torch.full((1, 1, 96, 128), 2.0)
    truth[..., :40] = 4.0
    truth[..., 60:70] = 0.0
    errors = []
    for seed in range(20):
        poor = degraded_depth(truth, seed)
        assert bool(torch.isfinite(poor).all()) and float(poor.min()) > 0.2
        known = truth > 0
        errors.append(float(((poor - truth).abs() / truth)[known].mean()))
    assert 0.1 < sum(errors) / len(errors) < 0.3


def test_edges_are_blurred() -> None:
    truth = torch.full((1, 1, 96, 128), 2.0)
    truth[..., 64:] = 4.0
    jump = (degraded_depth(truth, 3)[..., 64] / degraded_depth(truth, 3)[..., 63]).mean()
    assert 1.0 < float(jump) < 1.1


def test_the_same_keyframe_gets_the_same_depth() -> None:
    shown = keyframe(pose(), index=4)
    assert shown.sensor_depth is not None
    hidden = dataclasses.replace(shown, sensor_depth=None)
    source = DegradedDepth(Config().depth)
    source.show(hidden, shown.sensor_depth)
    first, second = (source.estimate(hidden, NO_VIEWS) for _ in range(2))
    assert torch.equal(first.depth, second.depth) and first.source == "poor"


def test_without_truth_there_is_nothing_to_distort() -> None:
    source = DegradedDepth(Config().depth)
    source.show(keyframe(pose(), index=1), torch.ones(1, 1, 48, 64))
    with pytest.raises(DepthError, match="no truth to distort"):
        source.estimate(keyframe(pose(), index=2), NO_VIEWS)
