"""The losses of DRO: supervised (eq. 4-6) and self-supervised (eq. 7-9)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from e2e_slam_ros.geometry.masks import masked_mean
from e2e_slam_ros.geometry.projection import backproject, project
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.losses.photometric import photometric_loss
from e2e_slam_ros.losses.smoothness import smoothness
from e2e_slam_ros.multiview.dro.network import DroStage
from e2e_slam_ros.multiview.dro.views import DroViews

# Discount of earlier stages (section 4.1).
GAMMA = 0.85
# A projection farther away than this many image widths says only that the pose is wrong. Pairs
# whose search failed would else outweigh all others.
_FARTHEST = 0.2


def discounts(count: int, gamma: float = GAMMA) -> list[float]:
    """Return gamma^(m - s) for each stage, the last 1.

    >>> discounts(3, 0.5)
    [0.25, 0.5, 1.0]
    """
    return [gamma ** (count - 1 - number) for number in range(count)]


def depth_loss(
    stages: Sequence[DroStage], truth: torch.Tensor, in_log: bool = True, gamma: float = GAMMA
) -> torch.Tensor:
    """Return the discounted L1 distance of the depths (eq. 4).

    Args:
        stages: the start may be among them; it has a depth of its own to learn.
        truth: (B, 1, H, W), metres; 0 = unknown.
        in_log: compare logarithms of depth: near surfaces then count as much as far ones. The
            paper compares metres.
    """
    known = truth > 0
    wanted = torch.where(known, truth, torch.ones_like(truth))
    terms = []
    for stage, factor in zip(stages, discounts(len(stages), gamma), strict=True):
        error = stage.log_depth - wanted.log() if in_log else stage.depth - wanted
        terms.append(factor * masked_mean(error.abs(), known))
    return torch.stack(terms).sum()


def pose_loss(
    stages: Sequence[DroStage],
    truth: torch.Tensor,
    T_i_0: torch.Tensor,
    intrinsics: torch.Tensor,
    gamma: float = GAMMA,
) -> torch.Tensor:
    """Return the discounted distance of projections by estimated and true poses (eq. 5).

    The distance is in shares of the image's width, a mean over pixels, so that it does not depend
    on the size of the images.

    Args:
        truth: (B, 1, H, W), metres; 0 = unknown.
        T_i_0: (B, N, 4, 4), true poses.
        intrinsics: (B, V, 3, 3).
    """
    points = backproject(truth, intrinsics[:, 0])
    wanted, in_front = _projected(points, T_i_0, intrinsics)
    known = in_front & (truth > 0)[:, None]
    width = truth.shape[-1]
    terms = []
    for stage, factor in zip(stages, discounts(len(stages), gamma), strict=True):
        found, seen = _projected(points, stage.T_i_0, intrinsics)
        error = ((found - wanted).abs() / width).clamp_max(_FARTHEST).sum(2, keepdim=True)
        terms.append(factor * masked_mean(error, known & seen))
    return torch.stack(terms).sum()


def _projected(
    points: torch.Tensor, T_i_0: torch.Tensor, intrinsics: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pixels (B, N, 2, H, W), and (B, N, 1, H, W) whether in front of the camera."""
    batch, count = T_i_0.shape[:2]
    flat = points.flatten(2)[:, None]
    moved = T_i_0[..., :3, :3] @ flat + T_i_0[..., :3, 3:]
    shape = (batch * count, 3, *points.shape[-2:])
    uv, z = project(moved.reshape(shape), intrinsics[:, 1:].reshape(-1, 3, 3))
    seen = (z > 0.05).view(batch, count, 1, *points.shape[-2:])
    return uv.view(batch, count, 2, *points.shape[-2:]), seen


def self_supervised_loss(
    stages: Sequence[DroStage],
    views: DroViews,
    smooth_weight: float = 0.01,
    gamma: float = GAMMA,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the discounted photometric loss (eq. 7) and smoothness (eq. 8), weighted as eq. 9.

    Of several neighbours, the one that matches best counts; pixels that match better without any
    warp do not count.

    Returns:
        The loss, and the photometric loss of the last stage; both scalars.
    """
    target, k = views.image[:, 0], views.intrinsics
    sources = [views.image[:, i + 1] for i in range(views.context)]
    terms, last = [], target.new_zeros(())
    for stage, factor in zip(stages, discounts(len(stages), gamma), strict=True):
        warps = [
            inverse_warp(image, stage.depth, stage.T_i_0[:, i], k[:, 0], k[:, i + 1])
            for i, image in enumerate(sources)
        ]
        last = photometric_loss(target, warps, sources).loss
        smooth = smoothness((-stage.log_depth).exp(), target)
        terms.append(factor * (last + smooth_weight * smooth))
    return torch.stack(terms).sum(), last.detach()
