"""The scale with which a keyframe agrees with other keyframes' depth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.geometry.masks import indices, known
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.seen_from import seen_from

# Depth is compared at this width, pixels: only a median is wanted.
_WIDTH = 80
# Least share of the image that another keyframe sees too.
_LEAST_SHARE = 0.15
# Standard deviations of the logarithm: of a median ratio, as shapes are never exact, and of the
# scale that motion gave one keyframe, which may be off by more than it knows.
_SHAPES, _ONE = 0.05, 0.1
# One keyframe alone would hand on what is wrong with its scale.
_FEWEST = 2


@torch.no_grad()
def overlap_scale(
    keyframe: Keyframe, raw: torch.Tensor, others: Sequence[MappedKeyframe]
) -> Scale | None:
    """Return the scale that makes depth agree with other keyframes' depth where both see a place.

    A network's scale changes from image to image. Where a keyframe's own motion tells nothing,
    the depth that motion gave its neighbours tells more than their scales do.

    The logarithm of the scale is the mean over the others of the median ratio, weighted by the
    share of the image that they see. Its variance is that of a ratio, the spread of the others,
    and that of their own scales: several keyframes that agree are surer than one.

    Args:
        keyframe: whose scale is wanted.
        raw: (1, 1, H, W) its depth in the source's unit; 0 = unknown.
        others: keyframes whose depth motion supports; those without are left out.

    Returns:
        The scale; None where fewer than two others see enough of the image.

    Example:
        >>> from e2e_slam_ros.data.keyframe import DepthEstimate, KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=80, height=60, fx=80.0, fy=80.0, cx=39.5, cy=29.5)
        >>> image, pose = torch.zeros(1, 3, 60, 80), torch.eye(4, dtype=torch.float64)
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, KeyframeDecision(True, "first"))
        >>> wall = torch.full((1, 1, 60, 80), 3.0)
        >>> other = MappedKeyframe(
        ...     seen, None, DepthEstimate(wall, None, "network", "motion"), torch.ones_like(wall)
        ... )
        >>> round(overlap_scale(seen, torch.full_like(wall, 2.0), [other, other]).factor, 3)
        1.5
        >>> overlap_scale(seen, wall, [other]) is None
        True
    """
    width = min(_WIDTH, keyframe.camera.width)
    size = (round(width * raw.shape[-2] / raw.shape[-1]), width)
    here = functional.interpolate(raw, size, mode="nearest-exact")
    ratios, shares = [], []
    for other in others:
        if other.motion_weight is None or other.estimate is None:
            continue
        if other.keyframe.camera != keyframe.camera:
            continue
        depth = other.estimate.depth
        there = seen_from(keyframe, other.keyframe, depth, torch.ones_like(depth), size).depth
        both = indices((known(there) & known(here)).flatten())
        share = both.numel() / here.numel()
        if share < _LEAST_SHARE:
            continue
        ratios.append(float((there.flatten()[both] / here.flatten()[both]).log().median()))
        shares.append(share)
    if len(ratios) < _FEWEST:
        return None
    mean = math.fsum(r * s for r, s in zip(ratios, shares, strict=True)) / math.fsum(shares)
    spread = math.fsum(s * (r - mean) ** 2 for r, s in zip(ratios, shares, strict=True))
    variance = _SHAPES**2 + spread / math.fsum(shares) + _ONE**2 / len(ratios)
    sigma = math.sqrt(variance)
    return Scale(math.exp(mean), points=len(ratios), sigma=sigma)
