"""The supplement's two statements, reproduced with numbers, and where the second one fails."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.training.coopnet.supplement import (
    closed_loop,
    drift,
    mode_bound,
    sampled_bound,
)


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_with_a_bias_delta_diverges_as_the_logarithm(p: float) -> None:
    """Section 1: Delta_n - Delta_0 grows as 2 lambda (1 - 2 p) ln n, in every run."""
    rate, steps = 0.5, 20_000
    delta = drift(steps, 200, p, rate)
    expected = 2 * rate * (1 - 2 * p) * (math.log(steps) + 0.5772)
    assert float(delta[:, -1].mean()) == pytest.approx(expected, rel=0.05)
    # Between n = 200 and n = 20000 the mean gains ln 100 more of it: it does not level off.
    gained = float((delta[:, -1] - delta[:, 199]).mean())
    assert gained == pytest.approx(2 * rate * (1 - 2 * p) * math.log(100.0), rel=0.05)
    share = [float((delta[:, n] > 0).float().mean()) for n in (10, 100, steps - 1)]
    assert share[-1] > 0.99 and share == sorted(share)  # eq. 10: P(0 < Delta_n) -> 1


def test_without_bias_or_without_progress_it_does_not() -> None:
    assert (drift(5000, 50, 0.2, 0.5, bias=0.0) == 0).all()
    fair = drift(20_000, 200, 0.5, 0.5)
    assert abs(float(fair[:, -1].mean())) < 0.3
    assert float((fair[:, -1] - fair[:, 199]).abs().max()) < 0.3  # it converges


def test_in_a_closed_loop_selection_by_sign_loses_depth_and_the_mode_does_not() -> None:
    lead = 0.3
    by_sign, by_mode = (closed_loop(kind, 1000, lead) for kind in ("min", "mode"))
    assert by_sign.max() > 4.0 * lead
    assert by_mode.max() == pytest.approx(lead) and by_mode[-1] < 0.01
    fair = closed_loop("min", 1000, 0.0)
    assert fair.abs().max() < 1e-9  # no bias, no divergence


@pytest.mark.parametrize("mu", [0.2, 0.5, 1.0])
def test_the_exact_bound_holds_and_is_what_samples_say(mu: float) -> None:
    bound = mode_bound(mu, 0.5, 0.05, 1.5)
    assert bound.l1 == pytest.approx(bound.exact_bound)
    l1, l2 = sampled_bound(mu, 0.5, 0.05, 1.5, 1_000_000)
    assert l1 == pytest.approx(bound.l1, abs=0.01) and l2 == pytest.approx(bound.l2, abs=0.01)


def test_l1_is_below_l2_where_flow_fails_in_the_left_tail() -> None:
    """Section 2 where its second assumption is strong: r > mu - E[Delta | Delta < 0]."""
    bound = mode_bound(0.5, 0.5, 0.05, 2.0)
    assert bound.promised and bound.l1 < bound.l2
    l1, l2 = sampled_bound(0.5, 0.5, 0.05, 2.0, 1_000_000)
    assert l1 < l2


def test_the_printed_condition_does_not_suffice() -> None:
    """Eq. 25 promises L1 < L2 here, and it is false: eq. 16 lacks the division by P(V_eta)."""
    bound = mode_bound(1.0, 0.5, 0.05, 0.5)
    assert bound.promised and bound.l1 > bound.l2
    l1, l2 = sampled_bound(1.0, 0.5, 0.05, 0.5, 1_000_000)
    assert l1 > l2


def test_the_printed_mean_is_the_conditional_one_times_the_probability() -> None:
    mu, sigma, eta = 0.7, 0.5, 0.02
    delta = mu + sigma * torch.randn(
        4_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    near = (delta - mu).abs() < eta * sigma  # the substitution's eta is in deviations
    assert float(delta[near].mean()) == pytest.approx(mu, abs=0.005)
    printed = 2 * mu / math.sqrt(2 * math.pi) * eta
    assert float((delta * near).mean()) == pytest.approx(printed, rel=0.05)
