"""Errors of depth maps against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.evaluation.depth.metrics import depth_metrics, mean_depth_metrics

TRUTH = np.array([[1.0, 2.0], [4.0, 5.0]], dtype=np.float32)


def test_a_perfect_prediction_has_no_error() -> None:
    metrics = depth_metrics(TRUTH, TRUTH, 0.1, 8.0)
    assert metrics is not None
    assert (metrics.abs_rel, metrics.sq_rel, metrics.rmse, metrics.rmse_log) == (0, 0, 0, 0)
    assert (metrics.delta_1, metrics.delta_2, metrics.delta_3, metrics.pixels) == (1, 1, 1, 4)


def test_closed_form_of_a_prediction_ten_percent_too_far() -> None:
    metrics = depth_metrics(TRUTH * np.float32(1.1), TRUTH, 0.1, 8.0)
    assert metrics is not None
    assert metrics.abs_rel == pytest.approx(0.1, rel=1e-5)
    assert metrics.sq_rel == pytest.approx(0.01 * (1 + 2 + 4 + 5) / 4, rel=1e-5)
    assert metrics.rmse == pytest.approx(0.1 * math.sqrt((1 + 4 + 16 + 25) / 4), rel=1e-5)
    assert metrics.rmse_log == pytest.approx(math.log(1.1), rel=1e-5)
    assert metrics.delta_1 == 1.0


def test_deltas_count_both_directions() -> None:
    factors = np.array([[1.24, 1 / 1.3], [1.6, 1 / 2.0]], dtype=np.float32)
    metrics = depth_metrics(TRUTH * factors, TRUTH, 0.1, 8.0)
    assert metrics is not None
    assert (metrics.delta_1, metrics.delta_2, metrics.delta_3) == (0.25, 0.5, 0.75)


def test_missing_depth_on_either_side_does_not_count() -> None:
    predicted = torch.tensor([[1.0, 0.0], [float("nan"), 6.0]])
    truth = torch.tensor([[1.0, 2.0], [4.0, 0.0]])
    metrics = depth_metrics(predicted, truth, 0.1, 8.0)
    assert metrics is not None
    assert metrics.pixels == 1
    assert metrics.abs_rel == 0.0


def test_missing_depth_does_not_enter_the_median() -> None:
    """The published implementation took zeros into the median of the truth."""
    truth = np.array([[0.0, 0.0, 0.0, 2.0, 4.0, 6.0]])
    predicted = np.array([[9.0, 9.0, 9.0, 1.0, 2.0, 3.0]])
    metrics = depth_metrics(predicted, truth, 0.1, 8.0, median_scale=True)
    assert metrics is not None
    assert metrics.abs_rel == pytest.approx(0.0, abs=1e-12)


def test_truth_out_of_range_does_not_count() -> None:
    assert depth_metrics(TRUTH, TRUTH, 6.0, 8.0) is None
    metrics = depth_metrics(TRUTH, TRUTH, 1.5, 4.5)
    assert metrics is not None
    assert metrics.pixels == 2


def test_shapes_must_agree() -> None:
    with pytest.raises(DepthError, match=r"got shape \(2, 2\).*\(1, 4\)"):
        depth_metrics(TRUTH, TRUTH.reshape(1, 4), 0.1, 8.0)


def test_the_mean_weighs_images_alike_and_skips_unknown_ones() -> None:
    one = depth_metrics(TRUTH * np.float32(1.1), TRUTH, 0.1, 8.0)
    other = depth_metrics(np.array([[3.0]]), np.array([[2.0]]), 0.1, 8.0)
    mean = mean_depth_metrics([one, None, other])
    assert mean is not None
    assert mean.abs_rel == pytest.approx((0.1 + 0.5) / 2, rel=1e-5)
    assert mean.pixels == 5
    assert mean_depth_metrics([None]) is None


@given(st.integers(0, 2**31), st.floats(0.5, 2.0))
def test_one_scale_for_both_changes_only_what_has_metres(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.uniform(1.0, 3.0, (6, 7))
    predicted = truth * random.uniform(0.7, 1.4, (6, 7))
    before = depth_metrics(predicted, truth, 0.1, 10.0)
    after = depth_metrics(predicted * scale, truth * scale, 0.1, 10.0)
    assert before is not None
    assert after is not None
    assert after.abs_rel == pytest.approx(before.abs_rel)
    assert after.rmse_log == pytest.approx(before.rmse_log)
    assert after.rmse == pytest.approx(before.rmse * scale)
