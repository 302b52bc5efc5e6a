"""The loss of predicted depth where its labels are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.masks import masked_mean
from e2e_slam_ros.losses.depth_gradient import depth_gradient_loss
from e2e_slam_ros.losses.scale_invariant import (
    log_depth_error,
    scale_invariant_loss,
    usable_labels,
)
from e2e_slam_ros.losses.uncertainty import uncertainty_loss
from e2e_slam_ros.training.stage_config import LossWeights, ObjectiveConfig


@dataclass(frozen=True, eq=False)
class Terms:
    """A weighted loss and its unweighted, detached parts by name."""

    total: torch.Tensor
    parts: dict[str, torch.Tensor]


def supervised_terms(
    depth: torch.Tensor,
    log_uncertainty: torch.Tensor | None,
    target: torch.Tensor,
    weights: LossWeights,
    config: ObjectiveConfig,
) -> Terms:
    """Return the loss of ``depth`` (B, 1, H, W) against labels ``target``, 0 = unknown.

    Scale-invariant error, multi-scale gradient and a little absolute error of log depth, which
    ties the scale to metres. What the uncertainty head learns (paper eq. 8) is the absolute error
    of log depth that is left when each image's median error is taken away.
    """
    valid = usable_labels(target, config.min_m, config.max_m)
    error = log_depth_error(depth, target, valid)
    parts = {
        "scale_invariant": scale_invariant_loss(error, valid, config.balance),
        "gradient": depth_gradient_loss(error, valid, config.gradient_scales),
        "metric": masked_mean(error.abs(), valid),
    }
    factors = {
        "scale_invariant": weights.scale_invariant,
        "gradient": weights.gradient,
        "metric": weights.metric,
    }
    if log_uncertainty is not None and weights.uncertainty > 0:
        parts["uncertainty"] = uncertainty_loss(
            _without_median(error.detach(), valid).abs(), log_uncertainty, valid
        )
        factors["uncertainty"] = weights.uncertainty
    return weighted(parts, factors)


def weighted(parts: dict[str, torch.Tensor], factors: dict[str, float]) -> Terms:
    """Return the sum of ``factors[name] * parts[name]`` and the detached parts."""
    total = torch.stack([factor * parts[name] for name, factor in factors.items()]).sum()
    return Terms(total, {name: value.detach() for name, value in parts.items()})


def _without_median(error: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return the error less each image's median over the mask, 0 outside it."""
    known = torch.where(valid, error, torch.full_like(error, torch.nan))
    median = known.flatten(1).nanmedian(dim=1).values[:, None, None, None]
    return torch.where(valid, error - median, torch.zeros_like(error))
