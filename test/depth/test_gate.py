"""The range of depths that are used."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.gate import gate_depth, require_depth

MakeKeyframe = Callable[..., Keyframe]
CONFIG = DepthConfig(min_m=0.5, max_m=4.0)


def test_depths_in_range_pass_and_others_become_zero() -> None:
    values = [0.0, -1.0, 0.49, 0.5, 2.0, 4.0, 4.01, math.nan, math.inf, -math.inf]
    gated = gate_depth(torch.tensor(values), CONFIG)
    assert gated.tolist() == [0.0, 0.0, 0.0, 0.5, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0]


def test_zero_stays_invalid_when_the_range_begins_at_zero() -> None:
    gated = gate_depth(torch.tensor([0.0, 1.0]), DepthConfig(min_m=0.0))
    assert gated.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("value", [0.0, math.nan, 1000.0])
def test_refuses_depth_without_a_pixel_in_range(make_keyframe: MakeKeyframe, value: float) -> None:
    depth = gate_depth(torch.full((1, 1, 48, 64), value), CONFIG)
    with pytest.raises(DepthError, match="no pixel in range.*0.5 to depth.max_m = 4 m"):
        require_depth(depth, CONFIG, make_keyframe())
