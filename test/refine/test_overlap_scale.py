"""The scale of a keyframe from the depth that motion gave its neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.refine.overlap_scale import overlap_scale
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_estimators import ScaleEstimator
from e2e_slam_ros.refine.scale_history import ScaleHistory, find_scale
from e2e_slam_ros.refine.views import RefineViews
from refine.rooms import SaidDepth, StagedWalk, network_config
from refine.scene import WALL_M, keyframe

SHAPE = (1, 1, 48, 64)
LIMIT = 0.3


def neighbour(x_m: float, depth_m: float = WALL_M, by_motion: bool = True) -> MappedKeyframe:
    depth = torch.full(SHAPE, depth_m)
    estimate = DepthEstimate(depth, None, "network", "motion")
    return MappedKeyframe(keyframe(x_m), None, estimate, torch.ones(SHAPE) if by_motion else None)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_the_scale_is_the_one_that_agrees(factor: float) -> None:
    raw = torch.full(SHAPE, WALL_M / factor)
    found = overlap_scale(keyframe(0.0), raw, [neighbour(0.2), neighbour(-0.3)])
    assert found is not None and found.factor == pytest.approx(factor, rel=1e-3)
    assert found.points == 2 and 0.0 < found.sigma < 0.15


def test_a_thing_in_front_that_one_of_them_sees_does_not_matter() -> None:
    raw = torch.full(SHAPE, WALL_M)
    raw[..., :20] = 0.5
    found = overlap_scale(keyframe(0.0), raw, [neighbour(0.0)] * 2)
    assert found is not None and found.factor == pytest.approx(1.0, rel=1e-3)


def test_two_neighbours_are_less_sure_than_several_and_one_does_not_count() -> None:
    raw = torch.full(SHAPE, WALL_M)
    two, eight = (overlap_scale(keyframe(0.0), raw, [neighbour(0.0)] * n) for n in (2, 8))
    assert two is not None and eight is not None and eight.sigma < 0.8 * two.sigma
    assert overlap_scale(keyframe(0.0), raw, [neighbour(0.0)]) is None


def test_neighbours_that_disagree_give_a_large_deviation() -> None:
    raw = torch.full(SHAPE, WALL_M)
    found = overlap_scale(keyframe(0.0), raw, [neighbour(0.0, 1.5), neighbour(0.0, 3.0)])
    assert found is not None and found.sigma > 0.3


def test_without_enough_overlap_there_is_none() -> None:
    raw = torch.full(SHAPE, WALL_M)
    assert overlap_scale(keyframe(0.0), raw, [neighbour(2.0)] * 2) is None
    assert overlap_scale(keyframe(0.0), raw, [neighbour(0.0, by_motion=False)] * 2) is None
    assert overlap_scale(keyframe(0.0), torch.zeros(SHAPE), [neighbour(0.0)] * 2) is None


class NoLabels:
    """An estimator that finds nothing, or one scale."""

    words, by_motion, by_sensor = "motion", True, False

    def __init__(self, found: Scale | None = None) -> None:
        self.found = found

    def fit(self, views: RefineViews, last: Scale | None) -> Scale:
        if self.found is None:
            raise DepthError.from_parts("labels", 0, "50", "move the camera")
        return self.found


def found_with(estimator: ScaleEstimator, seen: Scale | None) -> float:
    history = ScaleHistory()
    for _ in range(6):
        history = history.with_found(Scale(2.0), LIMIT, roughly_metric=True)
    views = RefineViews(keyframe(), (), torch.ones(SHAPE))
    found = find_scale(estimator, views, history, LIMIT, "said", True, seen)
    assert found.scale is not None
    return found.scale.factor


def test_it_stands_in_for_a_scale_that_motion_does_not_give() -> None:
    usual = found_with(NoLabels(), None)
    assert usual > 1.5
    assert found_with(NoLabels(), Scale(1.2, sigma=0.08)) == pytest.approx(1.2, rel=0.15)
    assert found_with(NoLabels(), Scale(1.2, sigma=2.0)) == pytest.approx(usual, rel=0.05)
    # The keyframe's own motion and the usual scale together outweigh it.
    own = NoLabels(Scale(2.0, sigma=0.05))
    assert 1.6 < found_with(own, Scale(1.2, sigma=0.13)) < 2.0


def test_a_scale_that_contradicts_gives_way_to_what_others_see() -> None:
    far = NoLabels(Scale(8.0, sigma=0.05))
    assert found_with(far, None) == pytest.approx(2.0, rel=0.15)
    assert found_with(far, Scale(1.2, sigma=0.08)) == pytest.approx(1.35, rel=0.1)


def test_several_neighbours_outweigh_the_usual_scale_of_a_network_that_jumps() -> None:
    raw = torch.full(SHAPE, WALL_M / 1.2)
    seen = overlap_scale(keyframe(0.0), raw, [neighbour(0.1 * n) for n in range(4)])
    # The usual scale is 2.
    assert found_with(NoLabels(), seen) < 1.37


def test_however_sure_others_are_the_keyframes_own_labels_count() -> None:
    """What keyframes hand on to each other, they err in together."""
    own = NoLabels(Scale(1.4, sigma=0.09))
    assert found_with(own, Scale(1.2, sigma=0.001)) > 1.27


def test_a_network_that_needs_a_shift_is_left_alone() -> None:
    history = ScaleHistory(Scale(2.0, 0.1, inverse=True))
    views = RefineViews(keyframe(), (), torch.ones(SHAPE))
    found = find_scale(NoLabels(), views, history, LIMIT, "said", False, Scale(1.2, sigma=0.08))
    assert found.scale is not None and found.scale.inverse


def test_a_network_whose_scale_jumps_where_motion_tells_nothing() -> None:
    """The camera looks at the wall, then the light goes out and the network changes its mind."""
    source = SaidDepth(torch.full(SHAPE, 1.3 * WALL_M))
    staged = StagedWalk(network_config(**{"refine.motion.earlier": 0.0}), source)
    for i in range(4):
        staged.step(keyframe(0.1 * i, i))
    source.depth = torch.full(SHAPE, 0.8 * WALL_M)
    black = replace(keyframe(0.4, 4), image=torch.zeros((1, 3, 48, 64)))
    metric = staged.step(black)
    assert "labels" in metric.notices[0]
    depth = float(metric.estimate.depth.median())
    assert depth == pytest.approx(WALL_M, rel=0.15)  # at the usual scale: 0.6 of it
