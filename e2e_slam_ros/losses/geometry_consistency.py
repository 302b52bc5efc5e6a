"""Geometry consistency loss: two views must agree on the depth (SC-SfMLearner eq. 5-8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.masks import known, masked_mean, or_one
from e2e_slam_ros.geometry.sampling import sample_bilinear
from e2e_slam_ros.geometry.warp import Warp

# The bilinear weights of four known neighbours add up to 1, up to rounding.
_ALL_KNOWN = 1 - 1e-4


@dataclass(frozen=True, eq=False)
class GeometryConsistency:
    """Disagreement between the target's depth and a source's depth.

    Attributes:
        loss: scalar in [0, 1), the mean of ``difference`` over ``valid`` (eq. 6). It is 0 with
            gradients 0 when no pixel is valid.
        difference: (B, 1, H, W) in [0, 1), D_diff (eq. 5); 0 where not valid.
        mask: (B, 1, H, W), 1 - D_diff (eq. 7), without gradient. It is the weight of a pixel in
            the photometric loss (eq. 8). It is low at occlusions and moving objects, and 1 where
            not valid.
        valid: (B, 1, H, W) bool. A valid pixel projects to a place of the source where the source
            depth is known.
        valid_share: scalar, the share of valid pixels in all pixels.

    >>> zero, one = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    >>> agreed = GeometryConsistency(torch.tensor(0.0), zero, one, one > 0, torch.tensor(1.0))
    >>> float(agreed.mask)
    1.0
    """

    loss: torch.Tensor
    difference: torch.Tensor
    mask: torch.Tensor
    valid: torch.Tensor
    valid_share: torch.Tensor


def geometry_consistency(warp: Warp, source_depth: torch.Tensor) -> GeometryConsistency:
    """Compare the target's points, seen from the source, with the source's own depth.

    The error of a pixel is ``D_diff = |z - D_s(uv)| / (z + D_s(uv))``. ``z`` is ``warp.z`` and
    ``D_s`` is the source depth, interpolated. D_diff does not depend on the scale if both depths
    have the same scale.

    Args:
        warp: warp of the source into the target, made with the target's depth.
        source_depth: (B, 1, H, W), z in metres or in the unit of the target depth. 0 = unknown.
            A pixel next to an unknown pixel is not compared. Gradients flow to both depths.
    """
    has_depth = known(source_depth)
    uv = torch.where(warp.valid, warp.uv, torch.zeros_like(warp.uv))
    sampled = sample_bilinear(or_one(source_depth, has_depth), uv)
    weight = sample_bilinear(has_depth.to(source_depth), uv.detach())
    valid = warp.valid & (weight > _ALL_KNOWN) & (warp.z > 0)
    here, there = or_one(warp.z, valid), or_one(sampled, valid)
    # Both depths are 1 at an invalid pixel, so the difference there is 0.
    difference = (here - there).abs() / (here + there)
    return GeometryConsistency(
        loss=masked_mean(difference, valid),
        difference=difference,
        mask=1 - difference.detach(),
        valid=valid,
        valid_share=valid.float().mean(),
    )
