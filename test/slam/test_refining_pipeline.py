"""Refinement inside the whole system: what reaches the map, and what bad input leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError, PoseError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.refine.counts import RefinementCounts
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.refine.result import Refusal
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import KeyframeResult
from refine.rooms import network_config, use_tiny_network, wall_frame
from refine.scene import WALL_M

CPU = torch.device("cpu")
OUTPUT = {"refine.strategy": "output", "refine.steps": 5}
# Adapted from what the network says, far too far away.
NETWORK = {"refine.strategy": "network", "refine.steps": 5, "refine.scale.source": "fixed"}

Make = Callable[..., SlamPipeline]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make pipelines around a small network that says 2.3 m where 2 m is right."""
    use_tiny_network(monkeypatch)
    at_once = {"refine.wait_keyframes": 0}
    return lambda **values: SlamPipeline(network_config(**at_once | values), CPU)


def integrate(system: SlamPipeline, frame: Frame) -> KeyframeResult:
    """Map a frame whatever the keyframe rule says."""
    return system.map_keyframe(frame, system.choose_keyframe(frame))


def walk(system: SlamPipeline, count: int, first: int = 0) -> list[KeyframeResult]:
    return [integrate(system, wall_frame(i, 0.1 * i)) for i in range(first, first + count)]


def error(result: KeyframeResult) -> float:
    return float((result.estimate.depth / WALL_M - 1).abs().mean())


def unrefined_went_on(system: SlamPipeline, result: KeyframeResult, reason: Refusal) -> None:
    assert result.outcome is not None and result.outcome.refused is reason
    assert result.estimate.depth is result.unrefined.depth
    assert result.fusion.added + result.fusion.merged > 0
    counts = RefinementCounts()
    counts.add(result.outcome)
    assert counts.refused == {str(reason): 1} and counts.attempts == 1
    network = system.source.network
    assert network is not None
    assert all(bool(torch.isfinite(p).all()) for p in network.parameters())


def test_refined_depth_is_what_is_fused(make: Make) -> None:
    # Depth falls by 30 cm: first surfels must not draw later ones to them.
    exact = {"map.unmeasured.distance_m": 0.05, "map.unmeasured.angle_deg": 20.0}
    system = make(**NETWORK, **{"refine.network.learning_rate": 1e-2}, **exact)
    results = walk(system, 6)
    assert error(results[-1]) < 0.05 < error(results[0])
    for result in results[1:]:
        assert result.outcome is not None and result.outcome.refused is None
        assert list(result.latency_ms) == ["prepare", "depth", "refine", "fuse"]
    assert system.depth_stage.counts.refined > 0
    assert not results[-1].estimate.depth.requires_grad
    system.reset()
    assert error(integrate(system, wall_frame(0, 0.0))) == pytest.approx(error(results[0]))


def test_the_map_supervises_the_refinement(make: Make) -> None:
    system = make(**OUTPUT)
    first, second = walk(system, 2)
    assert first.outcome is not None and second.outcome is not None
    assert first.outcome.refused is Refusal.NO_SOURCES
    assert second.outcome.trace[0, 1] > 0, "the first keyframe lies at 2.3 m in the map"
    blind = make(**OUTPUT, **{"refine.weights.chamfer": 0.0})
    without = walk(blind, 2)[1].outcome
    assert without is not None and (without.trace[:, 1] == 0).all()


def test_nothing_is_added_where_nothing_is_configured(make: Make) -> None:
    result = walk(make(**{"refine.scale.source": "fixed"}), 2)[1]
    assert list(result.latency_ms) == ["prepare", "depth", "fuse"]
    assert result.outcome is result.scale is result.revision is None


def test_scale_from_motion_is_the_default_for_a_network(make: Make) -> None:
    result = walk(make(), 2)[1]
    assert error(result) < 0.03 and result.estimate.scale_source == "motion"
    assert result.outcome is None and result.scale is not None


@pytest.mark.parametrize("strategy", [OUTPUT, NETWORK], ids=["output", "network"])
def test_bad_keyframes_are_fused_unrefined_with_the_reason(
    make: Make, strategy: dict[str, object]
) -> None:
    # The usual scale, which a keyframe without labels gets, is a few per cent off: no other
    # keyframe would confirm its depth.
    system = make(**strategy, **{"refine.support.enabled": False})
    walk(system, 3)
    black = integrate(system, wall_frame(3, 0.3, black=True))
    unrefined_went_on(system, black, Refusal.IMAGE_BLACK)
    white = wall_frame(4, 0.4)
    white = replace(white, image=np.full_like(white.image, 255))
    unrefined_went_on(system, integrate(system, white), Refusal.IMAGE_SATURATED)
    grey = wall_frame(5, 0.5)
    grey = replace(grey, image=np.full_like(grey.image, 128))
    unrefined_went_on(system, integrate(system, grey), Refusal.IMAGE_CONSTANT)
    # The views above are no help to the next one, but those before them are.
    good = integrate(system, wall_frame(6, 0.35))
    assert good.outcome is not None


def test_pure_rotation_leaves_depth_alone(make: Make) -> None:
    system = make(**OUTPUT)
    results = []
    for i in range(4):
        item = wall_frame(i, 0.0)
        assert item.T_map_camera is not None
        angle = np.deg2rad(3.0 * i)
        turned = item.T_map_camera.copy()
        turned[0, 0] = turned[2, 2] = np.cos(angle)
        turned[0, 2], turned[2, 0] = np.sin(angle), -np.sin(angle)
        # Something else in every image, or they would be refused as copies.
        image = np.roll(item.image, 3 * i, axis=1)
        results.append(integrate(system, replace(item, image=image, T_map_camera=turned)))
    for result in results[1:]:
        unrefined_went_on(system, result, Refusal.SMALL_PARALLAX)


def test_the_same_image_twice_says_nothing(make: Make) -> None:
    system = make(**OUTPUT)
    walk(system, 1)
    moved = wall_frame(1, 0.2)
    result = integrate(system, replace(moved, image=wall_frame(0, 0.0).image))
    unrefined_went_on(system, result, Refusal.SAME_IMAGE)


def test_an_empty_map_is_no_obstacle(make: Make) -> None:
    system = make(**OUTPUT)
    walk(system, 1)
    system.surfels.clear()
    result = integrate(system, wall_frame(1, 0.1))
    assert result.outcome is not None and result.outcome.refused is None


def test_a_pose_that_is_not_finite_reaches_neither_map_nor_weights(make: Make) -> None:
    system = make(**NETWORK)
    walk(system, 3)
    before = system.surfels.state_hash()
    learned = system.state_dict()
    bad = wall_frame(3, 0.3)
    bad = replace(bad, T_map_camera=np.full((4, 4), np.nan))
    with pytest.raises(PoseError):
        system.choose_keyframe(bad)
    assert system.surfels.state_hash() == before
    for name, value in system.state_dict().items():
        assert torch.equal(value, learned[name])


def test_whatever_fails_leaves_the_map_untouched(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = make(**OUTPUT)
    walk(system, 2)
    before = system.surfels.state_hash()

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(DepthStage, "__call__", broken)
        with pytest.raises(RuntimeError, match="broken"):
            integrate(system, wall_frame(2, 0.2))
    assert system.surfels.state_hash() == before
    result = integrate(system, wall_frame(3, 0.3))
    assert result.outcome is not None and result.outcome.refused is None


def test_depth_out_of_range_is_refused_once_it_is_metric(make: Make) -> None:
    system = make(**{"depth.max_m": 1.0, "refine.scale.source": "fixed", "refine.scale.factor": 2})
    with pytest.raises(DepthError, match="no pixel in range"):
        integrate(system, wall_frame(0, 0.0))
    assert len(system.surfels) == 0


@pytest.mark.parametrize("wait", [1, 3])
def test_keyframes_that_waited_are_revised_in_the_map(make: Make, wait: int) -> None:
    waiting = {"refine.wait_keyframes": wait}
    # One step does not get there: there is something left to gain later.
    system = make(**NETWORK, **waiting, **{"refine.network.learning_rate": 5e-3})
    results = walk(system, 10)
    revised = [r.revision for r in results if r.revision is not None]
    assert all(r.notices == () for r in results)
    assert len(revised) >= 2 and "revise" in results[-1].latency_ms
    for again in revised[:2]:
        first = results[again.keyframe.index].estimate.depth
        assert (again.estimate.depth - WALL_M).abs().mean() < (first - WALL_M).abs().mean()
    # What was revised is no longer where it was first put.
    gone = system.surfels.surfels.positions[:, 2].amax()
    assert gone < float(results[0].estimate.depth.amax()) - 0.02


def test_nothing_is_revised_while_a_newer_keyframe_waits(make: Make) -> None:
    system = make(**NETWORK, **{"refine.wait_keyframes": 1})
    system.is_pressed = lambda: True
    results = walk(system, 4)
    assert all(result.revision is None for result in results)
    system.is_pressed = lambda: False
    assert integrate(system, wall_frame(4, 0.4)).revision is not None


def test_the_map_keeps_shares_only_where_depth_can_become_better(make: Make) -> None:
    waiting = {"refine.wait_keyframes": 2, "map.revisable_keyframes": 1}
    assert make(**NETWORK, **waiting).surfels.config.revisable_keyframes == 9
    measured = SlamPipeline(Config().with_values(waiting), CPU)
    assert measured.surfels.config.revisable_keyframes == 1


def test_a_map_that_forgot_its_keyframes_is_not_revised(make: Make) -> None:
    system = make(**OUTPUT, **{"refine.wait_keyframes": 1, "map.revisable_keyframes": 3})
    walk(system, 3)
    surfels = system.surfels.surfels
    system.surfels.restore(surfels, 3)
    result = integrate(system, wall_frame(3, 0.3))
    assert result.revision is None
    # Nothing to say where refinement had nothing better; the reason where it had.
    assert all("keyframe to revise" in notice for notice in result.notices)
    assert result.fusion.merged > 0
