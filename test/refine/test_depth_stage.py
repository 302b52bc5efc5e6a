"""The depth stage: scale, correction and refinement of one keyframe after another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.source import DepthUnit
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.refine.result import Refusal
from e2e_slam_ros.slam.depth_sources import build_depth_source
from refine.rooms import SaidDepth, StagedWalk, network_config, use_tiny_network
from refine.scene import WALL_M, TinyNetwork, keyframe

CPU = torch.device("cpu")
SHAPE = (1, 1, 48, 64)


def said(depth: torch.Tensor | float, **values: object) -> StagedWalk:
    """A walk with a source that says ``depth``, everywhere or pixel by pixel."""
    whole = depth if isinstance(depth, torch.Tensor) else torch.full(SHAPE, depth)
    return StagedWalk(network_config(**values), SaidDepth(whole))


def walk(staged: StagedWalk, count: int = 3) -> list[MetricDepth]:
    """Keyframes 10 cm apart along the wall."""
    return [staged.step(keyframe(0.1 * i, i)) for i in range(count)]


def error(depth: torch.Tensor) -> float:
    return float((depth / WALL_M - 1).abs().mean())


def test_without_scale_and_refinement_depth_is_only_gated() -> None:
    staged = said(2.3, **{"refine.scale.source": "fixed"})
    metric = staged.step(keyframe())
    assert metric.estimate is metric.unrefined and (metric.estimate.depth == 2.3).all()
    assert metric.scale is metric.outcome is None and metric.estimate.scale_source == "said"
    assert not staged.stage.active(staged.config.refine)


@pytest.mark.parametrize("name", ["sensor", "motion_stereo"])
def test_metric_sources_are_left_alone(name: str) -> None:
    source = SaidDepth(torch.full(SHAPE, 2.3), name, DepthUnit.METRES)
    staged = StagedWalk(network_config(), source)
    assert not staged.stage.active(staged.config.refine)
    metric = walk(staged)[-1]
    assert metric.scale is None and (metric.estimate.depth == 2.3).all()


@pytest.mark.parametrize("factor", [0.02, 1.15, 1.4])
def test_motion_gives_metres_whatever_the_networks_unit(factor: float) -> None:
    unit = DepthUnit.ROUGH_METRES if factor > 1 else DepthUnit.UNKNOWN
    source = SaidDepth(torch.full(SHAPE, WALL_M * factor), unit=unit)
    staged = StagedWalk(network_config(), source)
    first = staged.step(keyframe())
    if factor > 1:
        assert first.estimate.scale_source == "said" and first.notices == ()
    else:
        assert (first.estimate.depth == 0).all() and "no scale yet" in first.notices[0]
    for i in (1, 2):
        metric = staged.step(keyframe(0.1 * i, i))
        assert error(metric.estimate.depth) < 0.03
        assert metric.scale is not None and metric.scale.points > 50
        assert metric.estimate.scale_source == "motion"


def test_depth_out_of_range_is_refused_and_leaves_no_trace() -> None:
    staged = said(0.05)
    with pytest.raises(DepthError, match="no pixel in range"):
        staged.step(keyframe())
    assert staged.memory.next_index == 0 and staged.stage.scale is None


def test_what_lies_outside_the_range_once_metric_is_left_out() -> None:
    depth = torch.full(SHAPE, WALL_M)
    depth[..., :8] = 30.0
    adapted = walk(said(depth))[-1]
    assert (adapted.estimate.depth[..., :8] == 0).all()
    assert (adapted.estimate.depth[..., 8:] > 0).all()


def test_too_few_labels_leave_the_last_scale_and_say_so() -> None:
    staged = said(2.3)
    walk(staged)
    black = replace(keyframe(0.3, 3), image=torch.zeros((1, 3, 48, 64)))
    # Without the depth of other keyframes: a black image has no evidence of its own.
    staged.configure(**{"refine.motion.earlier": 0.0})
    metric = staged.step(black)
    assert error(metric.estimate.depth) < 0.06  # the network alone: 0.15
    assert metric.estimate.scale_source == "motion (of earlier keyframes)"
    assert "labels" in metric.notices[0]
    fresh = said(2.3)
    fresh.step(keyframe())
    metric = fresh.step(replace(black, T_map_camera=keyframe(0.1).T_map_camera))
    assert metric.estimate.scale_source == "said" and len(metric.notices) == 1


def test_one_scale_that_is_far_off_is_held_back_and_a_lasting_change_is_not() -> None:
    source = SaidDepth(torch.full(SHAPE, 2.3))
    limits = {"refine.scale.max_change": 0.1, "refine.motion.enabled": False}
    staged = StagedWalk(network_config(**limits), source)
    walk(staged, 4)
    wrong = keyframe(0.4, 4)
    T = wrong.T_map_camera.clone()
    T[0, 3] += 0.1  # The pose says twice the way: twice as far.
    metric = staged.step(replace(wrong, T_map_camera=T))
    assert 1.05 < float(metric.estimate.depth.median()) / WALL_M < 1.17
    staged.memory.clear()
    source.depth = torch.full(SHAPE, 4.0)
    errors = [error(staged.step(keyframe(0.1 * i, i)).estimate.depth) for i in range(5, 13)]
    assert errors[1] > 0.5 and errors[-1] < 0.05


def test_other_sources_of_scale() -> None:
    first = walk(said(2.3, **{"refine.scale.source": "depth_topic"}), 1)[0]
    assert error(first.estimate.depth) < 1e-5 and first.estimate.scale_source == "depth topic"
    fixed = said(2.3, **{"refine.scale.source": "fixed", "refine.scale.factor": 2.0})
    assert walk(fixed, 1)[0].estimate.depth[0, 0, 0, 0] == pytest.approx(4.6)
    median = said(2.3, **{"refine.scale.source": "groundtruth_median"})
    assert error(median.step(keyframe()).estimate.depth) < 1e-5
    with pytest.raises(ConfigError, match="live input"):
        median.step(replace(keyframe(0.1, 1), sensor_depth=None))


def test_a_learned_scale_gets_better_and_is_carried_on() -> None:
    staged = said(WALL_M * 1.1, **{"refine.scale.source": "learned"})
    metrics = walk(staged, 4)
    assert error(metrics[0].estimate.depth) > 0.09
    assert error(metrics[-1].estimate.depth) < 0.05
    with torch.inference_mode():
        again = staged.step(keyframe(0.4, 4))
    assert again.estimate.scale_source == "learned from images"


def leaning() -> torch.Tensor:
    """Depth of the right median that is 20 % wrong at either side."""
    return (WALL_M * torch.linspace(0.8, 1.2, 64)).expand(SHAPE).clone()


def test_output_refinement_corrects_what_no_scale_can() -> None:
    staged = said(
        leaning(),
        **{"refine.strategy": "output", "refine.steps": 20, "refine.motion.enabled": False},
    )
    first, _, last = walk(staged)
    assert first.outcome is not None and first.outcome.refused is Refusal.NO_SOURCES
    assert first.estimate is first.unrefined
    assert last.outcome is not None and last.outcome.changed
    assert error(last.estimate.depth) < 0.4 * error(last.unrefined.depth)
    counts = staged.stage.counts
    assert (counts.refined, counts.refused) == (2, {"no sources": 1})
    assert counts.loss_before is not None and counts.loss_after is not None
    assert counts.loss_after < counts.loss_before
    assert 0 < counts.mean_steps <= 20


def test_motion_corrects_what_no_scale_can() -> None:
    one_scale, by_pixel = (
        walk(said(leaning(), **{"refine.motion.enabled": enabled}))[-1]
        for enabled in (False, True)
    )
    assert error(one_scale.estimate.depth) > 0.05
    assert error(by_pixel.estimate.depth) < 0.5 * error(one_scale.estimate.depth)
    assert by_pixel.motion_weight is not None and one_scale.motion_weight is None


def test_a_black_image_is_explained_by_what_others_saw_of_the_place() -> None:
    staged = said(leaning())
    walk(staged, 4)
    black = replace(keyframe(0.35, 4), image=torch.zeros((1, 3, 48, 64)))
    assert error(staged.step(black).estimate.depth) < 0.08


def test_later_views_help_an_earlier_keyframe() -> None:
    staged = said(leaning())
    first = staged.step(keyframe(0.0, 0))
    staged.step(keyframe(0.1, 1))
    item = staged.memory.get(0)
    assert item is not None and item.raw is not None
    again = staged.stage(item.keyframe, item.raw, staged.memory, staged.config.refine)
    assert again.outcome is None
    assert error(again.estimate.depth) < 0.5 * error(first.estimate.depth)


def test_where_nobody_moved_the_refusal_says_so() -> None:
    staged = said(2.0, **{"refine.strategy": "output"})
    staged.step(keyframe(0.001))
    metric = staged.step(keyframe(0.0))
    assert metric.outcome is not None and metric.outcome.refused is Refusal.SMALL_PARALLAX


def test_a_call_changes_nothing_until_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    staged, tiny = adapting(monkeypatch)
    walk(staged, 2)
    before, learned = bias(tiny), staged.stage.state_dict()
    view = replace(keyframe(0.3), index=staged.memory.next_index)
    raw = staged.source.estimate(view, staged.memory)
    metric = staged.stage(view, raw, staged.memory, staged.config.refine)
    assert metric.outcome is not None and metric.outcome.changed
    assert bias(tiny) == before
    for name, value in staged.stage.state_dict().items():
        assert torch.equal(value, learned[name])
    staged.stage.keep(metric)
    assert bias(tiny) != before


def adapting(monkeypatch: pytest.MonkeyPatch, **values: object) -> tuple[StagedWalk, TinyNetwork]:
    tiny = use_tiny_network(monkeypatch)
    config = network_config(
        **{"refine.strategy": "network", "refine.scale.source": "fixed", **values}
    )
    return StagedWalk(config, build_depth_source(config, CPU)), tiny


def bias(network: TinyNetwork) -> float:
    return float(network.disparity.bias.detach())  # type: ignore[operator,union-attr]


def test_the_network_learns_the_wall_and_keeps_it_when_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    staged, tiny = adapting(monkeypatch, **{"refine.steps": 25})
    start = bias(tiny)
    walk(staged, 4)
    learned = bias(tiny)
    assert learned != start and staged.stage.counts.refined > 0
    staged.configure(**{"refine.strategy": "none"})
    metric = staged.step(keyframe(0.5, 5))
    assert metric.outcome is None and bias(tiny) == learned
    assert error(metric.estimate.depth) < 0.6 * error(torch.full(SHAPE, 2.3))
    staged.stage.forget_learned()
    assert bias(tiny) == start and staged.stage.counts.refined == 0


def test_settings_change_from_the_next_keyframe_on(monkeypatch: pytest.MonkeyPatch) -> None:
    staged, tiny = adapting(monkeypatch, **{"refine.steps": 2})
    walk(staged, 2)
    assert staged.stage.counts.steps == 2
    changed = {"refine.steps": 3, "refine.network.learning_rate": 1e-8}
    staged.configure(**changed, **{"refine.weights.smoothness": 0.0})
    before = bias(tiny)
    outcome = staged.step(keyframe(0.2, 2)).outcome
    assert outcome is not None and outcome.steps_done == 3
    assert (outcome.trace[:, 3] == 0).all()
    assert abs(bias(tiny) - before) < 1e-6, "steps of 1e-8 each"


def test_the_network_strategy_needs_a_network() -> None:
    with pytest.raises(ConfigError, match=r"depth\.source: network"):
        said(2.0, **{"refine.strategy": "network"})
    staged = said(2.0)
    with pytest.raises(ConfigError):
        staged.stage.check(staged.config.with_values({"refine.strategy": "network"}).refine)
    assert walk(staged)[-1].outcome is None


def test_what_was_learned_is_saved_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    staged, tiny = adapting(monkeypatch)
    start = bias(tiny)
    assert staged.stage.state_dict() == {}
    walk(staged, 4)
    state, learned = staged.stage.state_dict(), bias(tiny)
    assert learned != start
    again, fresh = adapting(monkeypatch, **{"refine.strategy": "none"})
    assert bias(fresh) == start
    again.stage.load_state_dict(state, again.config.refine)
    assert bias(fresh) == learned
    # A map without adapted weights comes with the network as it was.
    again.stage.load_state_dict({}, again.config.refine)
    assert bias(fresh) == start
    # Weights are of no use to a source without a network; the scale is.
    scaled = said(2.3)
    walk(scaled)
    other = said(2.3)
    other.stage.load_state_dict(state | scaled.stage.state_dict(), other.config.refine)
    assert other.stage.scale is not None and scaled.stage.scale is not None
    assert other.stage.scale.factor == scaled.stage.scale.factor


def test_a_network_without_a_scale_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_network(monkeypatch)
    monkeypatch.setattr(TinyNetwork, "metric", False)
    staged = StagedWalk(network_config(), build_depth_source(network_config(), CPU))
    for i in range(3):
        metric = staged.step(keyframe(0.001 * i, i))
        assert (metric.estimate.depth == 0).all()
        assert "Move the camera sideways" in metric.notices[0]
    assert error(staged.step(keyframe(0.1, 3)).estimate.depth) < 0.04
    # From here on the last scale will do.
    assert error(staged.step(keyframe(0.1, 4)).estimate.depth) < 0.03


def test_weights_that_do_not_fit_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    staged, tiny = adapting(monkeypatch)
    walk(staged)
    state, learned = staged.stage.state_dict(), bias(tiny)
    name = "weight.disparity.bias"
    for wrong in (
        {k: v for k, v in state.items() if k != name},
        state | {name: torch.zeros(7)},
        state | {name: torch.full((1,), torch.nan)},
        state | {"alignment": torch.tensor([-1.0, 0.0, 0.0])},
        state | {"alignment": torch.zeros(2)},
    ):
        with pytest.raises(DepthError):
            staged.stage.load_state_dict(wrong, staged.config.refine)
        assert bias(tiny) == learned
