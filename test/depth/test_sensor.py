"""Sensor depth: passed on, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.depth.sensor import SensorDepth

MakeKeyframe = Callable[..., Keyframe]
CONFIG = DepthConfig(min_m=0.5, max_m=4.0)
NO_VIEWS = Keyframes(1)


def test_depth_comes_as_it_was_measured(make_keyframe: MakeKeyframe) -> None:
    depth = torch.full((1, 1, 48, 64), 9.0)
    raw = SensorDepth(CONFIG).estimate(make_keyframe(sensor_depth=depth), NO_VIEWS)
    assert torch.equal(raw.depth, depth) and raw.depth.dtype == torch.float32
    assert (raw.source, raw.unit, raw.confidence) == ("sensor", "sensor", None)
    assert raw.sigma is not None
    assert torch.allclose(raw.sigma, torch.full_like(depth, 0.003 + 0.01 / 9.0))


def test_refuses_a_keyframe_without_depth(make_keyframe: MakeKeyframe) -> None:
    with pytest.raises(DepthError, match="keyframe 7: got no depth image at stamp 1234500000"):
        SensorDepth(CONFIG).estimate(make_keyframe(), NO_VIEWS)


def test_refuses_another_size(make_keyframe: MakeKeyframe) -> None:
    with pytest.raises(DepthError, match=r"got shape \(1, 1, 24, 32\), expected \(1, 1, 48, 64\)"):
        SensorDepth(CONFIG).estimate(
            make_keyframe(sensor_depth=torch.ones(1, 1, 24, 32)), NO_VIEWS
        )
