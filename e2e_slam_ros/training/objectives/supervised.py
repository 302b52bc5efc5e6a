"""The loss of predicted depth where its labels are known."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import masked_mean
from e2e_slam_ros.losses.depth_gradient import depth_gradient_loss
from e2e_slam_ros.losses.scale_invariant import (
    log_depth_error,
    scale_invariant_loss,
    usable_labels,
)
from e2e_slam_ros.training.objectives.config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.objectives.terms import LossTerms, weighted_terms
from e2e_slam_ros.training.objectives.uncertainty import label_uncertainty


def supervised_terms(
    depth: torch.Tensor,
    log_uncertainty: torch.Tensor | None,
    label: torch.Tensor,
    weights: LossWeights,
    config: ObjectiveConfig,
) -> LossTerms:
    """Return the loss of depth against its labels.

    Scale-invariant error (Eigen et al. 2014), multi-scale gradient and a little absolute error of
    log depth, which ties the scale to metres; the uncertainty of `label_uncertainty`.

    Args:
        depth: (B, 1, H, W), metres.
        log_uncertainty: (B, 1, H, W), or None for networks without.
        label: (B, 1, H, W), metres, 0 = unknown.
        config: the range of labels that counts, and constants.
    """
    valid = usable_labels(label, config.min_m, config.max_m)
    error = log_depth_error(depth, label, valid)
    parts = {
        "scale_invariant": scale_invariant_loss(error, valid, config.balance),
        "gradient": depth_gradient_loss(error, valid, config.gradient_scales),
        "metric": masked_mean(error.abs(), valid),
    }
    if log_uncertainty is not None and weights.uncertainty > 0:
        parts["uncertainty"] = label_uncertainty(error, log_uncertainty, valid)
    factors = {name: float(getattr(weights, name)) for name in parts}
    return weighted_terms(parts, factors, len(depth))
