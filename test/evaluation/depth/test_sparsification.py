"""Sparsification curves against closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.evaluation.depth.sparsification import mean_sparsification, sparsification


def test_an_uncertainty_that_is_the_error_is_perfect() -> None:
    error = torch.rand(40, 50)
    curves = sparsification(error, error)
    assert curves.ause == pytest.approx(0.0, abs=1e-12)
    assert curves.by_uncertainty[0] == pytest.approx(float(error.double().mean()))
    assert curves.random_area > 0.1


def test_only_the_order_of_uncertainties_matters() -> None:
    error = torch.rand(1000)
    assert sparsification(error, error.log()).ause == pytest.approx(0.0, abs=1e-12)


def test_evenly_spread_errors_have_the_textbook_curve() -> None:
    """Of errors 0..1, those below 1 - x remain: their mean is (1 - x) / 2."""
    error = torch.linspace(0.0, 1.0, 100_001, dtype=torch.float64)
    curves = sparsification(error, error)
    expected = [(1.0 - share) / 2.0 for share in curves.removed]
    assert curves.by_error == pytest.approx(expected, abs=1e-4)
    # Area between 1/2 and (1 - x)/2 from 0 to 0.95: 0.95^2 / 4.
    assert curves.random_area == pytest.approx(0.95**2 / 4.0, abs=1e-4)


def test_an_uncertainty_that_knows_nothing_is_as_good_as_chance() -> None:
    error = torch.rand(200_000)
    chance = sparsification(error, torch.rand(200_000))
    assert chance.ause == pytest.approx(chance.random_area, rel=0.02)


def test_a_constant_uncertainty_is_exactly_chance() -> None:
    error = torch.rand(30, 30).sort().values  # any order of ties would show
    constant = sparsification(error, torch.full((30, 30), -1.5))
    assert constant.ause == pytest.approx(constant.random_area, abs=1e-12)


def test_a_misleading_uncertainty_is_worse_than_chance() -> None:
    error = torch.rand(1000)
    assert sparsification(error, -error).ause > 1.5 * sparsification(error, error).random_area


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(-5, 5)), min_size=1, max_size=60))
def test_nothing_beats_the_oracle(pixels: list[tuple[float, float]]) -> None:
    values = torch.tensor(pixels, dtype=torch.float64)
    curves = sparsification(values[:, 0], values[:, 1])
    for by_uncertainty, by_error in zip(curves.by_uncertainty, curves.by_error, strict=True):
        assert by_uncertainty >= by_error - 1e-9
    assert curves.ause >= -1e-9


def test_images_count_alike() -> None:
    small, large = torch.rand(10), torch.rand(5000) * 3.0
    one, other = sparsification(small, small), sparsification(large, -large)
    mean = mean_sparsification([one, other])
    assert mean is not None
    assert mean.ause == pytest.approx((one.ause + other.ause) / 2.0)
    assert mean.random == pytest.approx((one.random + other.random) / 2.0)
    assert mean_sparsification([]) is None


@pytest.mark.parametrize(
    ("error", "uncertainty", "words"),
    [
        (torch.rand(3), torch.rand(4), r"\(3,\) and uncertainties \(4,\)"),
        (torch.rand(0), torch.rand(0), "at least one"),
        (torch.tensor([1.0, float("nan")]), torch.rand(2), "NaN"),
        (torch.rand(2), torch.tensor([1.0, float("inf")]), "NaN or infinite"),
    ],
)
def test_what_cannot_be_sorted_is_refused(
    error: torch.Tensor, uncertainty: torch.Tensor, words: str
) -> None:
    with pytest.raises(DepthError, match=words):
        sparsification(error, uncertainty)
