"""The stated standard deviation of depth, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.data.keyframe import DepthEstimate
from e2e_slam_ros.refine.depth_sigma import NetworkErrors, SigmaFactor, corrected_sigma
from e2e_slam_ros.refine.depth_support import DepthSupport
from e2e_slam_ros.refine.motion_evidence import MotionEvidence

EVERY = torch.ones(1, 1, 120, 160)


def evidence(depth: torch.Tensor, weight: float, own_error: float = 0.04) -> MotionEvidence:
    return MotionEvidence(depth, weight * EVERY, 0.05, own_error, torch.zeros_like(depth))


def mean(sigma: torch.Tensor) -> float:
    return float(sigma.mean())


def test_it_grows_with_disagreement_pose_errors_and_what_the_network_states() -> None:
    metric = torch.full((1, 1, 240, 320), 2.0)
    stated = torch.full_like(metric, 0.08)
    usual, surprise = corrected_sigma(metric, evidence(2.0 * EVERY, 0.1), stated)
    assert usual.shape == metric.shape and 0.02 < mean(usual) < 0.1
    assert surprise == pytest.approx(0.0, abs=1e-5)
    for other in (
        corrected_sigma(metric, evidence(2.6 * EVERY, 0.1), stated),
        corrected_sigma(metric, evidence(2.0 * EVERY, 0.0), stated),
        corrected_sigma(metric, evidence(2.0 * EVERY, 0.1, own_error=0.12), stated),
        corrected_sigma(metric, evidence(2.0 * EVERY, 0.1), 3.0 * stated),
    ):
        assert mean(other[0]) > 1.2 * mean(usual)


def test_unknown_pixels_and_silent_networks_get_finite_deviations() -> None:
    metric = torch.full((1, 1, 240, 320), 2.0)
    metric[..., :100] = 0.0
    sigma, _ = corrected_sigma(metric, evidence(2.0 * EVERY, 0.1), None)
    assert bool(torch.isfinite(sigma).all()) and float(sigma.min()) > 0
    alone = NetworkErrors().with_scale(metric)
    assert mean(alone) == pytest.approx(math.hypot(0.14, 0.12), rel=1e-3)


def test_the_factor_follows_the_labels() -> None:
    factor = SigmaFactor()
    assert factor.seen(None) is factor
    for _ in range(30):
        factor = factor.seen(1.0)
    assert factor.value == pytest.approx(1.25 / 0.674, rel=1e-2)
    for _ in range(30):
        factor = factor.seen(1e9)
    assert factor.value <= 6.0


def test_agreement_of_other_keyframes_makes_it_smaller() -> None:
    seen = torch.tensor([[[[8.0, 8.0, 8.0, 0.0]]]])
    confirmed = torch.tensor([[[[8.0, 4.0, 0.0, 0.0]]]])
    factor = DepthSupport(confirmed, seen, torch.zeros_like(seen) > 0).sigma_factor.flatten()
    assert factor[0] < factor[1] < factor[3] < factor[2] * 1.05


def test_a_depth_without_deviation_stays_without() -> None:
    estimate = DepthEstimate(EVERY, None, "network", "motion")
    assert estimate.sigma is None and replace(estimate, source="x").sigma is None
