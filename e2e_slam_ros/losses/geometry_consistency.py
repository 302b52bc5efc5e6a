"""Two views' depths agree on the scene (SC-SfMLearner eq. 5-8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.masks import known, masked_mean, or_one
from e2e_slam_ros.geometry.sampling import sample_bilinear
from e2e_slam_ros.geometry.warp import Warp

# Bilinear weights of the four neighbours add up to 1 but for rounding.
_ALL_KNOWN = 1 - 1e-4


@dataclass(frozen=True, eq=False)
class GeometryConsistency:
    """How far the target's depth and a source's depth contradict each other.

    Attributes:
        loss: scalar in [0, 1), the mean of ``difference`` over ``valid`` (eq. 6); 0 with
            gradients 0 when there is no such pixel.
        difference: (B, 1, H, W) in [0, 1), D_diff (eq. 5); 0 where not valid.
        mask: (B, 1, H, W), 1 - D_diff (eq. 7) without gradient, the weight of a pixel in the
            photometric loss (eq. 8): low at occlusions and at what moves. 1 where not valid.
        valid: (B, 1, H, W) bool: projected into the source, where its depth is known.
        valid_share: scalar, the share of all pixels that is.
    """

    loss: torch.Tensor
    difference: torch.Tensor
    mask: torch.Tensor
    valid: torch.Tensor
    valid_share: torch.Tensor


def geometry_consistency(warp: Warp, source_depth: torch.Tensor) -> GeometryConsistency:
    """Compare ``warp.z``, the target's points seen from the source, with the source's depth.

    ``D_diff = |z - D_s(uv)| / (z + D_s(uv))``, D_s interpolated; free of scale if both share one.

    Args:
        warp: of the source into the target, made with the target's depth.
        source_depth: (B, 1, H, W), z in metres (or the target depth's unit); 0 = unknown, and a
            pixel next to an unknown one is not compared. Gradients flow to both depths.
    """
    has_depth = known(source_depth)
    uv = torch.where(warp.valid, warp.uv, torch.zeros_like(warp.uv))
    sampled = sample_bilinear(or_one(source_depth, has_depth), uv)
    weight = sample_bilinear(has_depth.to(source_depth), uv.detach())
    valid = warp.valid & (weight > _ALL_KNOWN) & (warp.z > 0)
    here, there = or_one(warp.z, valid), or_one(sampled, valid)
    # Where it is not valid both are 1, and the difference is 0.
    difference = (here - there).abs() / (here + there)
    return GeometryConsistency(
        loss=masked_mean(difference, valid),
        difference=difference,
        mask=1 - difference.detach(),
        valid=valid,
        valid_share=valid.float().mean(),
    )
