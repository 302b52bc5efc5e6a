"""The scale of keyframe after keyframe."""

from __future__ import annotations

import math

import pytest

from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_history import ScaleHistory

LIMIT = 0.3


def after(*factors: float) -> ScaleHistory:
    history = ScaleHistory()
    for factor in factors:
        history = history.with_found(Scale(factor), LIMIT)
    return history


def last(history: ScaleHistory) -> float:
    assert history.last is not None
    return history.last.factor


def test_the_usual_scale_follows_the_last_ones() -> None:
    usual = after(*[2.0] * 5, 2.2).usual
    assert usual is not None and 2.0 < usual.factor < 2.15
    assert ScaleHistory().usual is None


def test_a_gross_outlier_is_refused_and_a_lasting_change_is_not() -> None:
    history = after(*[2.0] * 5)
    for factor in (8.0, 0.5):
        refused = history.with_found(Scale(factor), LIMIT)
        assert last(refused) == pytest.approx(2.0)
        assert refused.refused == (pytest.approx(math.log(factor)),)
        assert refused.with_found(Scale(2.0), LIMIT).refused == ()
    assert last(after(*[2.0] * 5, 8.0, 8.0)) == pytest.approx(2.0)
    assert last(after(*[2.0] * 5, *[8.0] * 3)) == pytest.approx(8.0, rel=0.1)
    assert last(after(*[2.0] * 5, *[8.0] * 6)) == pytest.approx(8.0, rel=0.01)


def test_outliers_that_contradict_each_other_stay_refused() -> None:
    assert last(after(*[2.0] * 5, 8.0, 0.5, 9.0, 0.4, 30.0)) == pytest.approx(2.0)


def test_an_outlier_with_a_large_deviation_is_averaged_not_refused() -> None:
    history = after(*[2.0] * 5).with_found(Scale(8.0, sigma=1.0), LIMIT)
    assert history.refused == ()
    assert 2.0 < last(history) < 2.1


def test_without_a_limit_the_newest_scale_holds() -> None:
    assert last(after(*[2.0] * 5).with_found(Scale(8.0), max_change=0.0)) == 8.0


def test_a_scale_follows_the_network_that_is_adapted() -> None:
    """Otherwise the learned change would be taken for an outlier and held."""
    history = after(*[2.0] * 5).followed(1.9)
    assert last(history) == pytest.approx(2.0 / 1.9)
    assert last(history.with_found(Scale(2.0 / 1.9), LIMIT)) == pytest.approx(2.0 / 1.9)
    assert last(ScaleHistory(Scale(2.0, inverse=True)).followed(2.0)) == pytest.approx(4.0)


def test_a_history_is_a_value() -> None:
    history = after(2.0)
    history.with_found(Scale(4.0), LIMIT)
    assert history == after(2.0)
    assert ScaleHistory.starting_from(Scale(2.0)).mean == math.log(2.0)
    assert ScaleHistory.starting_from(None) == ScaleHistory()


def test_an_uncertain_scale_moves_the_usual_one_by_its_share() -> None:
    history = after(2.0, 2.0, 2.0)
    sure = last(history.with_found(Scale(2.2, sigma=0.001), LIMIT))
    even = last(history.with_found(Scale(2.2, sigma=0.1), LIMIT))
    vague = last(history.with_found(Scale(2.2, sigma=2.0), LIMIT))
    assert sure == pytest.approx(2.2, rel=1e-3)
    assert 2.08 < even < 2.15
    assert vague == pytest.approx(2.0, rel=1e-3)


def test_a_first_scale_is_held_near_one_only_where_the_network_roughly_knows_metres() -> None:
    vague = Scale(2.0, sigma=0.3)
    assert last(ScaleHistory().with_found(vague, LIMIT)) == 2.0
    rough = ScaleHistory().with_found(vague, LIMIT, roughly_metric=True)
    assert last(rough) == pytest.approx(math.sqrt(2.0), rel=0.05)


def test_the_usual_scale_of_a_metric_network_returns_to_one() -> None:
    history = ScaleHistory().with_found(Scale(1.2), LIMIT, roughly_metric=True)
    for _ in range(10):
        history = history.passed()
    assert history.usual is not None and 1.0 < history.usual.factor < 1.05


def test_poses_in_another_unit_than_metres_keep_their_scale() -> None:
    history = ScaleHistory.starting_from(Scale(3.0))
    for _ in range(10):
        history = history.passed()
    assert history.usual is not None and history.usual.factor == pytest.approx(3.0)
