"""Scale, neighbours and refinement of one keyframe after another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.refine.result import Refusal
from e2e_slam_ros.slam.adaptation import Adaptation, AdaptedDepth, build_adaptable_source
from refine.rooms import SaidDepth, network_config, use_tiny_network
from refine.scene import WALL_M, TinyNetwork, keyframe

CPU = torch.device("cpu")
SHAPE = (1, 1, 48, 64)


def said(depth: torch.Tensor | float, **values: object) -> Adaptation:
    """An adaptation of a source that says ``depth``, everywhere or pixel by pixel."""
    whole = depth if isinstance(depth, torch.Tensor) else torch.full(SHAPE, depth)
    return Adaptation(network_config(**values), SaidDepth(whole), CPU)


def step(
    adaptation: Adaptation, view: Keyframe, truth: torch.Tensor | None = None
) -> AdaptedDepth:
    source = adaptation._source
    return adaptation.refine(view, source.estimate(view), None, truth)


def walk(adaptation: Adaptation, count: int = 3) -> list[AdaptedDepth]:
    """Keyframes 10 cm apart along the wall."""
    return [step(adaptation, keyframe(0.1 * i, i)) for i in range(count)]


def error(depth: torch.Tensor) -> float:
    return float((depth / WALL_M - 1).abs().mean())


def test_without_scale_and_refinement_nothing_is_done() -> None:
    adaptation = said(2.3, **{"refine.scale.source": "fixed"})
    given = DepthEstimate(torch.full(SHAPE, 2.3), None, "network", "said")
    adapted = adaptation.refine(keyframe(), given)
    assert adapted.estimate is given is adapted.unrefined
    assert adapted.alignment is adapted.outcome is None
    assert not adaptation.active and len(adaptation._history) == 0


@pytest.mark.parametrize("name", ["sensor", "motion_stereo"])
def test_metric_sources_are_left_alone(name: str) -> None:
    source = SaidDepth(torch.full(SHAPE, 2.3))
    source.name = name
    adaptation = Adaptation(network_config(), source, CPU)
    assert not adaptation.active
    assert walk(adaptation)[-1].alignment is None


@pytest.mark.parametrize("factor", [0.02, 1.15, 1.4])
def test_motion_gives_metres_whatever_the_networks_unit(factor: float) -> None:
    adaptation = said(WALL_M * factor)
    if factor > 1:
        first = step(adaptation, keyframe())
        assert first.estimate.scale_source == "said" and first.notices == ()
    else:
        with pytest.raises(DepthError, match="no pixel in range"):
            step(adaptation, keyframe())
    # What could not be used is a neighbour all the same.
    for i in (1, 2):
        adapted = step(adaptation, keyframe(0.1 * i, i))
        assert error(adapted.estimate.depth) < 0.03
        assert adapted.alignment is not None and adapted.alignment.points > 50
        assert adapted.estimate.scale_source == "motion"


def test_what_lies_outside_the_range_once_metric_is_left_out() -> None:
    depth = torch.full(SHAPE, WALL_M)
    depth[..., :8] = 30.0
    adapted = walk(said(depth))[-1]
    assert (adapted.estimate.depth[..., :8] == 0).all()
    assert (adapted.estimate.depth[..., 8:] > 0).all()


def test_too_few_labels_leave_the_last_scale_and_say_so() -> None:
    adaptation = said(2.3)
    walk(adaptation)
    black = replace(keyframe(0.3, 3), image=torch.zeros((1, 3, 48, 64)))
    # Without what other keyframes know of the place: a black image has no evidence of its own.
    config = adaptation._config
    adaptation.reconfigure(replace(config, motion=replace(config.motion, earlier=0.0)))
    adapted = step(adaptation, black)
    assert error(adapted.estimate.depth) < 0.03
    assert adapted.estimate.scale_source == "motion (of earlier keyframes)"
    assert "labels" in adapted.notices[0]
    adaptation.reset()
    step(adaptation, keyframe())
    adapted = step(adaptation, replace(black, T_map_camera=keyframe(0.1).T_map_camera))
    assert adapted.estimate.scale_source == "said" and len(adapted.notices) == 1


def test_one_scale_that_is_far_off_is_held_back_and_a_lasting_change_is_not() -> None:
    adaptation = said(2.3, **{"refine.scale.max_change": 0.1, "refine.motion.enabled": False})
    walk(adaptation, 4)
    wrong = keyframe(0.4, 4)
    T = wrong.T_map_camera.clone()
    T[0, 3] += 0.1  # The pose says twice the way: twice as far.
    adapted = step(adaptation, replace(wrong, T_map_camera=T))
    assert 1.05 < float(adapted.estimate.depth.median()) / WALL_M < 1.13
    adaptation.forget_keyframes()
    source = adaptation._source
    assert isinstance(source, SaidDepth)
    source.depth = torch.full(SHAPE, 4.0)
    errors = [error(step(adaptation, keyframe(0.1 * i, i)).estimate.depth) for i in range(5, 13)]
    assert errors[1] > 0.5 and errors[-1] < 0.05


def test_other_sources_of_scale() -> None:
    first = walk(said(2.3, **{"refine.scale.source": "depth_topic"}), 1)[0]
    assert error(first.estimate.depth) < 1e-5 and first.estimate.scale_source == "depth topic"
    fixed = said(2.3, **{"refine.scale.source": "fixed", "refine.scale.factor": 2.0})
    assert walk(fixed, 1)[0].estimate.depth[0, 0, 0, 0] == pytest.approx(4.6)
    truth = torch.full(SHAPE, WALL_M)
    median = said(2.3, **{"refine.scale.source": "groundtruth_median"})
    assert error(step(median, keyframe(), truth).estimate.depth) < 1e-5
    with pytest.raises(ConfigError, match="live input"):
        step(median, keyframe(0.1, 1))


def test_a_learned_scale_gets_better_and_is_carried_on() -> None:
    adaptation = said(WALL_M * 1.1, **{"refine.scale.source": "learned"})
    adapted = walk(adaptation, 4)
    assert error(adapted[0].estimate.depth) > 0.09
    assert error(adapted[-1].estimate.depth) < 0.05
    with torch.inference_mode():
        assert step(adaptation, keyframe(0.4, 4)).estimate.scale_source == "learned from images"


def leaning() -> torch.Tensor:
    """Depth of the right median that is 20 % wrong at either side."""
    return (WALL_M * torch.linspace(0.8, 1.2, 64)).expand(SHAPE).clone()


def test_output_refinement_corrects_what_no_scale_can() -> None:
    adaptation = said(
        leaning(),
        **{"refine.strategy": "output", "refine.steps": 20, "refine.motion.enabled": False},
    )
    first, _, last = walk(adaptation)
    assert first.outcome is not None and first.outcome.refused is Refusal.NO_SOURCES
    assert first.estimate is first.unrefined
    assert last.outcome is not None and last.outcome.changed
    assert error(last.estimate.depth) < 0.4 * error(last.unrefined.depth)
    tally = adaptation.tally
    assert (tally.refined, tally.refused) == (2, {"no sources": 1})
    assert tally.first is not None and tally.last is not None and tally.last < tally.first
    assert 0 < tally.mean_steps <= 20


def test_motion_corrects_what_no_scale_can() -> None:
    one_scale, by_pixel = (
        walk(said(leaning(), **{"refine.motion.enabled": enabled}))[-1]
        for enabled in (False, True)
    )
    assert error(one_scale.estimate.depth) > 0.05
    assert error(by_pixel.estimate.depth) < 0.5 * error(one_scale.estimate.depth)
    assert by_pixel.estimate.confidence is not None and one_scale.estimate.confidence is None


def test_a_black_image_is_explained_by_what_others_saw_of_the_place() -> None:
    adaptation = said(leaning())
    walk(adaptation, 4)
    black = replace(keyframe(0.35, 4), image=torch.zeros((1, 3, 48, 64)))
    assert error(step(adaptation, black).estimate.depth) < 0.08


def test_motion_alone_looks_back_too() -> None:
    adaptation = said(leaning(), **{"refine.wait_keyframes": 1})
    first = step(adaptation, keyframe(0.0, 0))
    assert adaptation.look_back() is None
    step(adaptation, keyframe(0.1, 1))
    again = adaptation.look_back()
    assert again is not None and again.keyframe.index == 0 and again.outcome is None
    assert error(again.estimate.depth) < 0.4 * error(first.estimate.depth)


def test_a_keyframe_that_waited_is_refined_with_views_from_both_sides() -> None:
    adaptation = said(
        leaning(),
        **{"refine.strategy": "output", "refine.steps": 20, "refine.wait_keyframes": 1},
    )
    first = step(adaptation, keyframe(0.0, 0))
    assert adaptation.look_back() is None
    step(adaptation, keyframe(0.1, 1))
    seen: list[int] = []

    def in_view(view: Keyframe) -> None:
        seen.append(view.index)

    again = adaptation.look_back(in_view)
    assert again is not None and again.keyframe.index == 0 and seen == [0]
    assert error(again.estimate.depth) < 0.5 * error(first.estimate.depth)
    item = adaptation._history.from_newest(1)
    assert item is not None and item.depth is again.estimate.depth
    adaptation.withdraw(again.keyframe)
    assert adaptation.look_back() is None and len(adaptation._history) == 2


def test_neighbours_face_the_same_way_and_moved() -> None:
    adaptation = said(2.0, **{"refine.strategy": "output"})
    turned = keyframe(0.2, 1).T_map_camera.clone()
    turned[:3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    views = [
        keyframe(0.2, 0),
        replace(keyframe(0.2, 1), T_map_camera=turned),
        keyframe(0.001, 2),
    ]
    for view in views:
        adaptation.remember(view)
    chosen = adaptation._history.before(keyframe(0.0, 3), 3, 0.02)
    assert [item.keyframe.index for item in chosen] == [0]
    # Where nobody moved the refusal shall say that, not that nobody is there.
    adaptation.forget_keyframes()
    adaptation.remember(views[2])
    adapted = step(adaptation, keyframe(0.0, 3))
    assert adapted.outcome is not None and adapted.outcome.refused is Refusal.SMALL_PARALLAX


def adapting(monkeypatch: pytest.MonkeyPatch, **values: object) -> tuple[Adaptation, TinyNetwork]:
    tiny = use_tiny_network(monkeypatch)
    config = network_config(
        **{"refine.strategy": "network", "refine.scale.source": "fixed", **values}
    )
    return Adaptation(config, build_adaptable_source(config, CPU), CPU), tiny


def bias(network: TinyNetwork) -> float:
    return float(network.disparity.bias.detach())  # type: ignore[operator,union-attr]


def test_the_network_learns_the_wall_and_keeps_it_when_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adaptation, tiny = adapting(monkeypatch, **{"refine.steps": 25})
    start = bias(tiny)
    walk(adaptation, 4)
    learned = bias(tiny)
    assert learned != start and adaptation.tally.refined > 0
    adaptation.reconfigure(replace(adaptation._config, strategy="none"))
    adapted = step(adaptation, keyframe(0.5, 5))
    assert adapted.outcome is None and bias(tiny) == learned
    assert error(adapted.estimate.depth) < 0.6 * error(torch.full(SHAPE, 2.3))
    adaptation.forget_learned()
    assert bias(tiny) == start and adaptation.tally.refined == 0


def test_settings_change_from_the_next_keyframe_on(monkeypatch: pytest.MonkeyPatch) -> None:
    adaptation, _ = adapting(monkeypatch, **{"refine.steps": 2})
    walk(adaptation, 2)
    assert adaptation.tally.steps == 2
    changed = replace(adaptation._config, steps=3)
    changed = replace(changed, network=replace(changed.network, learning_rate=1e-5))
    changed = replace(changed, weights=replace(changed.weights, smoothness=0.0))
    adaptation.reconfigure(changed)
    outcome = step(adaptation, keyframe(0.2, 2)).outcome
    assert outcome is not None and outcome.steps_done == 3
    assert (outcome.trace[:, 3] == 0).all()
    group = adaptation._refiners["network"]._strategy._optimiser.param_groups[0]
    assert group["lr"] == 1e-5


def test_the_network_strategy_needs_a_network() -> None:
    with pytest.raises(ConfigError, match=r"depth\.source: network"):
        said(2.0, **{"refine.strategy": "network"})
    adaptation = said(2.0)
    with pytest.raises(ConfigError):
        adaptation.reconfigure(replace(adaptation._config, strategy="network"))
    assert walk(adaptation)[-1].outcome is None


def test_what_was_learned_is_saved_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    adaptation, tiny = adapting(monkeypatch)
    start = bias(tiny)
    assert adaptation.state_dict() == {}
    walk(adaptation, 4)
    state, learned = adaptation.state_dict(), bias(tiny)
    assert learned != start
    again, fresh = adapting(monkeypatch, **{"refine.strategy": "none"})
    assert bias(fresh) == start
    again.load_state_dict(state)
    assert bias(fresh) == learned
    # A map without adapted weights comes with the network as it was.
    again.load_state_dict({})
    assert bias(fresh) == start
    # Weights are of no use to a source without a network; the scale is.
    aligned = said(2.3)
    walk(aligned)
    other = said(2.3)
    other.load_state_dict(state | aligned.state_dict())
    assert other.alignment is not None and aligned.alignment is not None
    assert other.alignment.scale == aligned.alignment.scale


def test_a_network_without_a_scale_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_network(monkeypatch)
    monkeypatch.setattr(TinyNetwork, "metric", False)
    adaptation = Adaptation(network_config(), build_adaptable_source(network_config(), CPU), CPU)
    # Camera frames, until one is far enough from the first.
    for i in range(20):
        with pytest.raises(DepthError, match="move the camera sideways"):
            step(adaptation, keyframe(0.001 * i, i))
    assert len(adaptation._history) == 1
    assert error(step(adaptation, keyframe(0.1, 20)).estimate.depth) < 0.03
    # From here on the last scale will do.
    assert error(step(adaptation, keyframe(0.1, 21)).estimate.depth) < 0.03


def test_weights_that_do_not_fit_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    adaptation, tiny = adapting(monkeypatch)
    walk(adaptation)
    state, learned = adaptation.state_dict(), bias(tiny)
    name = "weight.disparity.bias"
    for wrong in (
        {k: v for k, v in state.items() if k != name},
        state | {name: torch.zeros(7)},
        state | {name: torch.full((1,), torch.nan)},
        state | {"alignment": torch.tensor([-1.0, 0.0, 0.0])},
        state | {"alignment": torch.zeros(2)},
    ):
        with pytest.raises(DepthError):
            adaptation.load_state_dict(wrong)
        assert bias(tiny) == learned
