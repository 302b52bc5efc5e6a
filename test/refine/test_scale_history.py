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


def test_the_usual_scale_is_the_median() -> None:
    usual = after(2.0, 2.0, 2.5).usual
    assert usual is not None and usual.factor == pytest.approx(2.0)
    assert ScaleHistory().usual is None


def test_an_outlier_is_held_and_a_lasting_change_is_not() -> None:
    history = after(*[2.0] * 5)
    assert last(history.with_found(Scale(8.0), LIMIT)) == pytest.approx(2.0 * 1.3)
    assert last(history.with_found(Scale(0.5), LIMIT)) == pytest.approx(2.0 / 1.3)
    assert last(after(*[2.0] * 4, *[8.0] * 5)) == pytest.approx(8.0)


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
    assert ScaleHistory.starting_from(Scale(2.0)).logarithms == (math.log(2.0),)
    assert ScaleHistory.starting_from(None) == ScaleHistory()


def test_an_uncertain_scale_moves_the_usual_one_by_its_share() -> None:
    history = after(2.0, 2.0, 2.0)
    sure = last(history.with_found(Scale(2.2, sigma=0.001), LIMIT))
    even = last(history.with_found(Scale(2.2, sigma=0.1), LIMIT))
    vague = last(history.with_found(Scale(2.2, sigma=2.0), LIMIT))
    assert sure == pytest.approx(2.2, rel=1e-3)
    assert even == pytest.approx(2.0 * math.sqrt(1.1), rel=1e-3)
    assert vague == pytest.approx(2.0, rel=1e-3)


def test_a_first_scale_is_held_near_one_only_where_the_network_roughly_knows_metres() -> None:
    vague = Scale(2.0, sigma=0.3)
    assert last(ScaleHistory().with_found(vague, LIMIT)) == 2.0
    rough = ScaleHistory().with_found(vague, LIMIT, roughly_metric=True)
    assert last(rough) == pytest.approx(math.sqrt(2.0), rel=1e-6)
