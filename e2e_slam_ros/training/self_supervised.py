"""The loss of two views that must explain one another (Bian et al., NeurIPS 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.geometry.sampling import sample_bilinear
from e2e_slam_ros.geometry.warp import Warp, inverse_warp
from e2e_slam_ros.losses.geometry_consistency import geometry_consistency
from e2e_slam_ros.losses.photometric import photometric_loss
from e2e_slam_ros.losses.smoothness import smoothness
from e2e_slam_ros.losses.uncertainty import uncertainty_loss
from e2e_slam_ros.training.stage_config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.supervised import Terms, weighted

# With less of the image in view of the other camera, the pair says nothing.
_LEAST_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class View:
    """One image of a pair and what the network says of it.

    Attributes:
        image: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W) as the network predicts it.
        depth: (B, 1, H, W), metres or the unit of the camera motion.
        log_uncertainty: (B, 1, H, W), or None.
        seen: (B, 1, H, W) bool, where the image shows what a camera saw.
    """

    image: torch.Tensor
    disparity: torch.Tensor
    depth: torch.Tensor
    log_uncertainty: torch.Tensor | None
    seen: torch.Tensor


def self_supervised_terms(
    target: View,
    source: View,
    T_source_target: torch.Tensor,
    T_target_source: torch.Tensor,
    intrinsics: torch.Tensor,
    weights: LossWeights,
    config: ObjectiveConfig,
) -> Terms:
    """Return the mean of both directions' losses (SC-SfMLearner eq. 1, single scale).

    ``parts`` also holds "in_view", the share of pixels that the other camera sees.
    """
    there = _one_way(target, source, T_source_target, intrinsics, weights, config)
    back = _one_way(source, target, T_target_source, intrinsics, weights, config)
    parts = {name: 0.5 * (value + back.parts[name]) for name, value in there.parts.items()}
    return Terms(0.5 * (there.total + back.total), parts)


def _one_way(
    target: View,
    source: View,
    T_source_target: torch.Tensor,
    intrinsics: torch.Tensor,
    weights: LossWeights,
    config: ObjectiveConfig,
) -> Terms:
    """Return the loss of the target view made from the source view."""
    warp = inverse_warp(source.image, target.depth, T_source_target, intrinsics, intrinsics)
    warp = _of_what_was_seen(warp, target, source)
    consistency = geometry_consistency(warp, source.depth)
    photometric = photometric_loss(
        target.image,
        [warp],
        [source.image] if config.stationary_mask else None,
        pixel_weights=[consistency.mask],
        min_valid_share=_LEAST_SHARE,
    )
    # Too few pixels: their errors are noise, and chasing them pushes the rest out of view.
    enough = (photometric.in_view_share >= _LEAST_SHARE).to(photometric.loss)
    parts = {
        "photometric": enough * photometric.loss,
        "consistency": enough * consistency.loss,
        "smoothness": smoothness(target.disparity, target.image),
    }
    factors = {
        "photometric": weights.photometric,
        "consistency": weights.consistency,
        "smoothness": weights.smoothness,
    }
    if target.log_uncertainty is not None and weights.photometric_uncertainty > 0:
        parts["photometric_uncertainty"] = uncertainty_loss(
            photometric.error.detach(), target.log_uncertainty, photometric.counted
        )
        factors["photometric_uncertainty"] = weights.photometric_uncertainty
    terms = weighted(parts, factors)
    terms.parts["in_view"] = photometric.in_view_share
    return terms


def _of_what_was_seen(warp: Warp, target: View, source: View) -> Warp:
    """Return the warp without pixels that one of the images was only filled up with.

    Padding repeats what is inside; matching it teaches a mirror world.
    """
    uv = torch.where(warp.valid, warp.uv, torch.zeros_like(warp.uv)).detach()
    share = sample_bilinear(source.seen.to(uv), uv)
    return replace(warp, valid=warp.valid & target.seen & (share > 1.0 - 1e-3))
