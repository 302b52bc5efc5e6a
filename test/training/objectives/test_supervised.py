"""The loss of labelled depth: its parts, and the uncertainty that it asks for."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from e2e_slam_ros.training.objectives.config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.objectives.supervised import supervised_terms

OFF = LossWeights(0.0, 0.0, 0.0, 0.0)


def test_the_total_is_the_weighted_sum_of_the_parts() -> None:
    label = torch.full((2, 1, 16, 16), 2.0)
    depth = label * torch.linspace(0.5, 2.0, 16)
    log_u = torch.zeros_like(label)
    weights = LossWeights(2.0, 0.5, 3.0, 0.25)
    terms = supervised_terms(depth, log_u, label, weights, ObjectiveConfig())
    expected = sum(getattr(weights, name) * float(value) for name, value in terms.parts.items())
    assert float(terms.total) == pytest.approx(expected, rel=1e-5) and len(terms.parts) == 4
    assert set(terms.counts.values()) == {2}


def test_the_uncertainty_that_fits_is_the_error_without_the_image_s_scale() -> None:
    torch.manual_seed(0)
    target = torch.full((1, 1, 32, 32), 2.0)
    noise = torch.distributions.Laplace(0.0, 0.2).sample((1, 1, 32, 32))
    depth = 3.0 * target * noise.exp()
    alone = dataclasses.replace(OFF, uncertainty=1.0)

    def loss(u: float) -> float:
        log_u = torch.full_like(target, math.log(u))
        return float(supervised_terms(depth, log_u, target, alone, ObjectiveConfig()).total)

    assert loss(0.2) < min(loss(0.1), loss(0.4), loss(1.1))
