"""Sensor depth: range, missing values, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.sensor import SensorDepth

MakeKeyframe = Callable[..., Keyframe]
CONFIG = DepthConfig(min_m=0.5, max_m=4.0)


def test_depths_in_range_pass_and_others_become_zero(make_keyframe: MakeKeyframe) -> None:
    values = [0.0, -1.0, 0.49, 0.5, 2.0, 4.0, 4.01, math.nan, math.inf, -math.inf]
    depth = torch.full((1, 1, 48, 64), 1.5)
    depth[0, 0, 3, : len(values)] = torch.tensor(values)
    estimate = SensorDepth(CONFIG).estimate(make_keyframe(sensor_depth=depth))
    row = estimate.depth[0, 0, 3, : len(values)].tolist()
    assert row == [0.0, 0.0, 0.0, 0.5, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    assert bool((estimate.depth[0, 0, 4:] == 1.5).all())
    assert estimate.depth.dtype == torch.float32 and estimate.depth.shape == depth.shape
    assert (estimate.source, estimate.scale_source) == ("sensor", "sensor")
    assert estimate.confidence is None


def test_zero_stays_invalid_when_the_range_begins_at_zero(make_keyframe: MakeKeyframe) -> None:
    depth = torch.zeros(1, 1, 48, 64)
    depth[..., 0, 0] = 1.0
    estimate = SensorDepth(DepthConfig(min_m=0.0)).estimate(make_keyframe(sensor_depth=depth))
    assert int((estimate.depth > 0).sum()) == 1


def test_the_keyframe_keeps_its_own_depth(make_keyframe: MakeKeyframe) -> None:
    depth = torch.full((1, 1, 48, 64), 9.0)
    depth[..., 0] = 1.0
    SensorDepth(CONFIG).estimate(make_keyframe(sensor_depth=depth))
    assert float(depth.max()) == 9.0


def test_refuses_a_keyframe_without_depth(make_keyframe: MakeKeyframe) -> None:
    with pytest.raises(DepthError, match="keyframe 7: got no depth image at stamp 1234500000"):
        SensorDepth(CONFIG).estimate(make_keyframe())


def test_refuses_another_size(make_keyframe: MakeKeyframe) -> None:
    with pytest.raises(DepthError, match=r"got shape \(1, 1, 24, 32\), expected \(1, 1, 48, 64\)"):
        SensorDepth(CONFIG).estimate(make_keyframe(sensor_depth=torch.ones(1, 1, 24, 32)))


@pytest.mark.parametrize("value", [0.0, math.nan, 1000.0])
def test_refuses_depth_without_a_pixel_in_range(make_keyframe: MakeKeyframe, value: float) -> None:
    depth = torch.full((1, 1, 48, 64), value)
    with pytest.raises(DepthError, match="no pixel in range.*0.5 to depth.max_m = 4 m"):
        SensorDepth(CONFIG).estimate(make_keyframe(sensor_depth=depth))
