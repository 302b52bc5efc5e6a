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
from e2e_slam_ros.training.objectives.config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.objectives.terms import LossTerms, weighted_terms

# With less of the image in view of the other camera, the pair says nothing.
_LEAST_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class PredictedView:
    """One image of a pair and the network's prediction for it.

    Attributes:
        image: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W) as the network predicts it.
        depth: (B, 1, H, W), metres or the unit of the camera motion.
        log_uncertainty: (B, 1, H, W), or None.
        seen: (B, 1, H, W) bool, false where a pixel was made up to fill the image.

    >>> one = torch.ones(2, 1, 4, 4)
    >>> view = PredictedView(torch.zeros(2, 3, 4, 4), one, one, None, one > 0)
    >>> view.samples(torch.tensor([1])).depth.shape
    torch.Size([1, 1, 4, 4])
    """

    image: torch.Tensor
    disparity: torch.Tensor
    depth: torch.Tensor
    log_uncertainty: torch.Tensor | None
    seen: torch.Tensor

    def samples(self, which: torch.Tensor) -> PredictedView:
        """Return the samples with the indices ``which``, (N,)."""
        log_u = self.log_uncertainty
        return PredictedView(
            self.image[which],
            self.disparity[which],
            self.depth[which],
            None if log_u is None else log_u[which],
            self.seen[which],
        )


def self_supervised_terms(
    target: PredictedView,
    source: PredictedView,
    T_source_target: torch.Tensor,
    T_target_source: torch.Tensor,
    intrinsics: torch.Tensor,
    weights: LossWeights,
    config: ObjectiveConfig,
) -> LossTerms:
    """Return the mean of both directions' losses (SC-SfMLearner eq. 1, single scale).

    ``parts`` also holds "in_view", the share of pixels that the other camera sees.

    Args:
        target, source: the two views, B samples.
        T_source_target, T_target_source: (B, 4, 4), in the unit of depth.
        intrinsics: (B, 3, 3), of both views.
    """
    there = _one_way(target, source, T_source_target, intrinsics, weights, config)
    back = _one_way(source, target, T_target_source, intrinsics, weights, config)
    parts = {name: 0.5 * (value + back.parts[name]) for name, value in there.parts.items()}
    return LossTerms(0.5 * (there.total + back.total), parts, there.counts)


def _one_way(
    target: PredictedView,
    source: PredictedView,
    T_source_target: torch.Tensor,
    intrinsics: torch.Tensor,
    weights: LossWeights,
    config: ObjectiveConfig,
) -> LossTerms:
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
    if target.log_uncertainty is not None and weights.photometric_uncertainty > 0:
        parts["photometric_uncertainty"] = uncertainty_loss(
            photometric.error.detach(), target.log_uncertainty, photometric.counted
        )
    factors = {name: float(getattr(weights, name)) for name in parts}
    parts["in_view"] = photometric.in_view_share
    return weighted_terms(parts, factors, len(target.image))


def _of_what_was_seen(warp: Warp, target: PredictedView, source: PredictedView) -> Warp:
    """Return the warp without pixels that one of the images was only filled up with.

    Padding mirrors the image; matching it would teach a mirrored world.
    """
    uv = torch.where(warp.valid, warp.uv, torch.zeros_like(warp.uv)).detach()
    share = sample_bilinear(source.seen.to(uv), uv)
    return replace(warp, valid=warp.valid & target.seen & (share > 1.0 - 1e-3))
