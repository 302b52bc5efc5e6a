"""Surfaces that other keyframes see far nearer than the network does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import known, or_one, without_gaps
from e2e_slam_ros.multiview.box_mean import box_mean
from e2e_slam_ros.refine.motion_evidence import resized, size_of
from e2e_slam_ros.refine.views import SparseLabels

# Natural logarithm of the ratio of two depths from which on the network is wrong and not unsure.
_NEARER = 0.5
# Fewest keyframes that see the surface, and their least share of those that see anything there.
_FEWEST, _LEAST_SHARE = 2, 0.5
# Every depth map is uncertain beside an edge. A surface fills this share of a window of the first
# radius; what is near such a window belongs to it too. Pixels of the sweep.
_SOLID, _RADIUS, _BORDER = 0.7, 5, 3
# Other keyframes' depth arrives in single pixels: holes are closed, and specks are left out.
_MOST_OF = 0.5
# Weight of another keyframe's depth that motion does not support.
_UNSUPPORTED = 1e-3


@torch.no_grad()
def with_nearer_surfaces(depth: torch.Tensor, seen_again: Sequence[SparseLabels]) -> torch.Tensor:
    """Return a network's depth with the surfaces that other keyframes see far nearer.

    A network can miss what stands close before the camera, image after image. While motion still
    sees it, the keyframes have it. When it is too close, too dark or too blurred to match, the
    network alone would decide, and the surface would vanish from one keyframe to the next. But
    what stands before a surface hides it: of two depths the nearer one is what the camera sees.
    The other way round nothing follows, because something may have come in between.

    Only large surfaces and gross differences count, so that errors of other keyframes, which are
    largest beside edges, are not handed on.

    Args:
        depth: (1, 1, H, W) metres, a network's with the keyframe's scale; 0 = unknown.
        seen_again: other keyframes' depth, as this one sees it, (1, 1, h, w) each.

    Returns:
        (1, 1, H, W) metres; 0 stays 0.

    Example:
        >>> wall, plant = torch.full((1, 1, 24, 32), 3.0), torch.zeros(1, 1, 24, 32)
        >>> plant[..., 16:] = 1.0  # seen in the right half by two keyframes
        >>> seen = SparseLabels(plant, torch.full_like(plant, 0.02))
        >>> with_nearer_surfaces(wall, [seen, seen])[0, 0, 12, 4::8].round(decimals=2)
        tensor([3., 3., 1., 1.])
    """
    if len(seen_again) < _FEWEST:
        return depth
    size = size_of(seen_again[0].depth)
    small = resized(without_gaps(depth).reciprocal(), size).reciprocal()
    there = torch.cat([labels.depth for labels in seen_again])
    weight = torch.cat([labels.weight for labels in seen_again]) + _UNSUPPORTED
    seen = known(there)
    apart = (or_one(there, seen) / small).log()
    nearer = seen & (apart < -_NEARER)
    count = nearer.sum(0, keepdim=True)
    agreed = (count >= _FEWEST) & (count >= _LEAST_SHARE * seen.sum(0, keepdim=True))
    weight = weight * nearer
    change = (weight * apart).sum(0, keepdim=True) / weight.sum(0, keepdim=True).clamp_min(1e-9)
    change = _without_specks(change, _solid(agreed))
    return depth * resized(change, size_of(depth)).exp()


def _solid(mask: torch.Tensor) -> torch.Tensor:
    """Return the part of a mask (1, 1, h, w) that is no mere edge."""
    both = torch.cat([mask, torch.ones_like(mask)]).float()  # windows end at the image's border
    share, whole = box_mean(both, _RADIUS).split(1)
    inside = (share > _SOLID * whole).float()
    near = functional.max_pool2d(inside, 2 * _BORDER + 1, 1, _BORDER) > 0
    return mask & near


def _without_specks(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over 3x3 pixels of the mask where it fills most of them, else 0."""
    inside = mask.float()
    both = torch.cat([inside, inside * image])
    share, total = functional.avg_pool2d(both, 3, 1, 1, count_include_pad=False).split(1)
    return torch.where(share > _MOST_OF, total / share.clamp_min(1e-6), 0.0)
