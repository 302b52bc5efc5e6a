"""What the network's prediction learns of the room at once: its memory."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision, RawDepth
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import Revision

CPU = torch.device("cpu")
# Nothing is looked back at: no weights learn, the memory alone does.
NETWORK = Config().with_values({"depth.source": "network", "refine.wait_keyframes": 0})


def pipeline(config: Config = NETWORK) -> SlamPipeline:
    return SlamPipeline(config, CPU)


def keyframe(index: int = 0) -> Keyframe:
    camera = PinholeCamera(width=64, height=64, fx=60.0, fy=60.0, cx=31.5, cy=31.5)
    generator = torch.Generator().manual_seed(5)
    image, pose = (
        torch.rand((1, 3, 64, 64), generator=generator),
        torch.eye(4, dtype=torch.float64),
    )
    decision = KeyframeDecision(True, "first")
    return Keyframe(index, index, index, image, camera, pose, None, decision)


def raw(system: SlamPipeline) -> RawDepth:
    return system.learning.in_room(system.source.estimate(keyframe(), system.keyframes))


def raw_median(system: SlamPipeline) -> float:
    return float(raw(system).depth.median())


def depth_of(system: SlamPipeline, seen: Keyframe) -> MetricDepth:
    """Return the depth that would be mapped of a keyframe without neighbours."""
    return system.depth_stage(seen, raw(system), system.keyframes, system.config.refine)


def established(system: SlamPipeline, factor: float) -> DepthEstimate:
    own = raw(system).without_room().depth
    return DepthEstimate(factor * own, torch.ones_like(own), "network", "motion")


def learn(system: SlamPipeline, factor: float, keyframes: int = 10) -> None:
    """Let motion establish that all depth is ``factor`` times what the network says."""
    for index in range(keyframes):
        metric = depth_of(system, keyframe(index))
        estimate = established(system, factor)
        revision = Revision(keyframe(index), estimate, estimate, None, raw(system), 0.02)
        system.learning.offer(metric, raw(system), revision)


def test_the_prediction_learns_from_keyframes_that_were_looked_back_at() -> None:
    system = pipeline()
    before = raw_median(system)

    learn(system, 1.3)

    assert raw_median(system) / before == pytest.approx(1.3, rel=0.02)


def test_a_few_places_are_not_believed() -> None:
    system = pipeline()
    before = raw_median(system)

    learn(system, 1.3, keyframes=7)

    assert raw_median(system) == before


def test_a_new_keyframe_that_motion_told_nothing_of_teaches_nothing() -> None:
    system = pipeline()
    metric = depth_of(system, keyframe())
    assert metric.motion_weight is None

    system.learning.offer(metric, raw(system), None)

    assert raw(system).room is None


def test_the_depth_that_is_mapped_does_not_confirm_itself() -> None:
    system = pipeline()
    before = depth_of(system, keyframe())

    learn(system, 1.3)

    after = depth_of(system, keyframe())
    torch.testing.assert_close(after.estimate.depth, before.estimate.depth, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize(
    "change", [{"refine.strategy": "none"}, {"refine.background.places": 0}], ids=str
)
def test_a_network_that_does_not_learn_keeps_its_metres(change: dict[str, object]) -> None:
    system = pipeline(NETWORK.with_values(change))
    before = raw_median(system)

    learn(system, 1.3)

    assert raw_median(system) == before


def test_the_room_is_saved_loaded_and_forgotten() -> None:
    system, other = pipeline(), pipeline()
    before = raw_median(other)
    learn(system, 0.8)

    other.load_state_dict(system.state_dict())

    assert raw_median(other) == pytest.approx(raw_median(system), rel=1e-6)
    other.learning.forget()
    assert raw_median(other) == before
    assert not any(name.startswith("places.") for name in other.state_dict())


def test_a_state_of_an_earlier_version_is_taken() -> None:
    system = pipeline()
    before = raw_median(system)

    system.load_state_dict({"room_scale": torch.tensor(1.2)})

    assert raw_median(system) == before


def test_a_saved_room_that_is_none_is_refused_and_nothing_changes() -> None:
    system = pipeline()
    learn(system, 1.3)
    before, state = raw_median(system), system.state_dict()

    with pytest.raises(DepthError, match="memory of the room"):
        system.load_state_dict(state | {"places.scale": torch.full((10,), torch.nan)})

    assert raw_median(system) == before
