"""The score of an image by the Eigen protocol, with figures calculated by hand."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.evaluation.eigen.image_score import eigen_score

HEIGHT, WIDTH = 100, 200


def truth_at(*points: tuple[int, int, float]) -> torch.Tensor:
    truth = torch.zeros(HEIGHT, WIDTH)
    for row, column, depth in points:
        truth[row, column] = depth
    return truth


def test_the_figures() -> None:
    """Depths 10, 20, 40 m, found as 1, 2 and 5: the factor is 10, so 40 m is found as 50."""
    truth = truth_at((50, 50, 10.0), (60, 100, 20.0), (70, 150, 40.0))
    guess = torch.ones(HEIGHT, WIDTH)
    guess[60, 100], guess[70, 150] = 2.0, 5.0
    score = eigen_score(guess, truth)
    assert score is not None and score.scale == pytest.approx(10.0)
    found = score.metrics
    assert found.pixels == 3
    assert found.abs_rel == pytest.approx(0.25 / 3)
    assert found.sq_rel == pytest.approx(100 / 40 / 3)
    assert found.rmse == pytest.approx(10 / math.sqrt(3))
    assert found.rmse_log == pytest.approx(math.log(1.25) / math.sqrt(3))
    # 1.25 is not below 1.25.
    assert (found.delta_1, found.delta_2) == (pytest.approx(2 / 3), 1.0)


def test_only_the_crop_and_80_metres_count() -> None:
    inside = ((40, 100, 10.0), (98, 100, 10.0), (60, 7, 10.0), (60, 191, 10.0))
    outside = ((39, 100, 5.0), (99, 100, 5.0), (60, 6, 5.0), (60, 192, 5.0), (60, 90, 85.0))
    score = eigen_score(torch.ones(HEIGHT, WIDTH), truth_at(*inside, *outside))
    assert score is not None
    assert (score.metrics.pixels, score.scale) == (4, 10.0)


def test_a_prediction_is_cut_to_80_metres() -> None:
    truth = truth_at((50, 50, 40.0), (60, 100, 40.0), (70, 150, 40.0))
    guess = torch.ones(HEIGHT, WIDTH)
    guess[70, 150] = 100.0
    score = eigen_score(guess, truth)
    assert score is not None and score.scale == 40.0
    assert score.metrics.abs_rel == pytest.approx(1.0 / 3)


def test_a_smaller_prediction_is_enlarged_by_its_inverse() -> None:
    """A plane stays a plane: inverse depth falls evenly from left to right."""
    inverse = torch.linspace(1.0, 0.5, 40).expand(20, 40)
    truth = truth_at((50, 99, 3.0), (60, 100, 3.0))
    score = eigen_score(inverse.reciprocal(), truth)
    assert score is not None
    # The middle of the image, between columns 19 and 20 of the small one.
    assert score.scale == pytest.approx(3.0 * 0.75, rel=1e-5)


def test_nothing_to_compare() -> None:
    assert eigen_score(torch.ones(HEIGHT, WIDTH), truth_at((5, 5, 10.0))) is None
    assert eigen_score(torch.zeros(HEIGHT, WIDTH), truth_at((50, 50, 10.0))) is None
