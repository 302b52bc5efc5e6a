"""The scale that a network learns of a room."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.slam.pipeline import SlamPipeline

CPU = torch.device("cpu")
NETWORK = Config().with_values({"depth.source": "network"})


def pipeline(config: Config = NETWORK) -> SlamPipeline:
    return SlamPipeline(config, CPU)


def in_a_room_of_scale(factor: float, config: Config = NETWORK) -> SlamPipeline:
    """Return a pipeline whose keyframes were ``factor`` times as large as the network says."""
    system = pipeline(config)
    system.depth_stage.load_state_dict({"alignment": Scale(factor).to_tensor()}, config.refine)
    return system


def keyframe() -> Keyframe:
    camera = PinholeCamera(width=64, height=64, fx=60.0, fy=60.0, cx=31.5, cy=31.5)
    image, pose = torch.full((1, 3, 64, 64), 0.5), torch.eye(4, dtype=torch.float64)
    return Keyframe(0, 0, 0, image, camera, pose, None, KeyframeDecision(True, "first"))


def raw_median(system: SlamPipeline) -> float:
    return float(system.source.estimate(keyframe(), system.keyframes).depth.median())


def mapped(system: SlamPipeline) -> MetricDepth:
    """Return the depth that would be mapped of a keyframe without neighbours."""
    seen = keyframe()
    raw = system.source.estimate(seen, system.keyframes)
    return system.depth_stage(seen, raw, system.keyframes, system.config.refine)


def test_the_network_takes_half_of_the_usual_scale() -> None:
    system = in_a_room_of_scale(1.44)
    before = raw_median(system)

    system.learning.take_over()

    assert raw_median(system) / before == pytest.approx(1.2, rel=1e-4)
    system.learning.take_over()  # nothing new: nothing changes
    assert raw_median(system) / before == pytest.approx(1.2, rel=1e-4)


def test_the_depth_that_is_mapped_stays_and_its_scale_is_that_of_the_prediction() -> None:
    system = in_a_room_of_scale(1.44)
    before = mapped(system)

    system.learning.take_over()

    after = mapped(system)
    torch.testing.assert_close(after.estimate.depth, before.estimate.depth)
    assert after.history == before.history
    assert before.scale is not None and after.scale is not None
    assert after.scale.factor == pytest.approx(before.scale.factor / 1.2, rel=1e-4)


def test_a_network_that_does_not_learn_keeps_its_metres() -> None:
    config = NETWORK.with_values({"refine.strategy": "none"})
    system = in_a_room_of_scale(1.44, config)

    system.learning.take_over()

    assert system.source.network is not None
    assert system.source.network.room_scale == 1.0


def test_the_scale_is_saved_loaded_and_forgotten() -> None:
    system = in_a_room_of_scale(0.81)
    system.learning.take_over()
    other = pipeline()
    before = raw_median(other)

    other.load_state_dict(system.state_dict())

    assert raw_median(other) / before == pytest.approx(0.9, rel=1e-4)
    assert other.depth_stage.usual_factor == pytest.approx(0.81, rel=1e-4)
    other.learning.forget()
    assert raw_median(other) == before


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_saved_scale_that_is_none_is_refused(value: float) -> None:
    system = pipeline()
    before = raw_median(system)

    with pytest.raises(DepthError, match="the learned scale"):
        system.load_state_dict({"room_scale": torch.tensor(value)})

    assert raw_median(system) == before
