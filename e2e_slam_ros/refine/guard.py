"""The checks of a keyframe before it is refined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from e2e_slam_ros.config.refine import GuardConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.refine.result import Refusal
from e2e_slam_ros.refine.views import RefineViews

# A standard deviation of one grey level: nothing to match.
_FLAT = 1.0 / 255.0
# Mean grey beyond which a flat image is called black or saturated.
_DARK, _BRIGHT = 0.04, 0.96
# With a larger share of pixels at the ends of the range, too few are left between.
_CLIPPED = 0.9
# Two images that differ by less are one image sent twice; a tenth of a grey level.
_SAME = 0.1 / 255.0


def checked(
    views: RefineViews, guard: GuardConfig, near_m: float, far_m: float
) -> RefineViews | Refusal:
    """Return the views with the usable sources only, or the reason for a refusal.

    Args:
        views: the keyframe.
        guard: limits.
        near_m, far_m: metres; depth at or beyond these limits is saturated.
    """
    if not views.sources:
        return Refusal.NO_SOURCES
    if not bool(torch.isfinite(views.target.T_map_camera).all()):
        return Refusal.POSE_NOT_FINITE
    reason, median = _target_figures(views, near_m, far_m)
    if reason is not None:
        return reason
    kept, reason = _usable(views.target, views.sources, guard.min_parallax * median)
    if not kept:
        return reason or Refusal.NO_SOURCES
    if not views.poses_believed:
        return Refusal.SMALL_PARALLAX
    depths = tuple(views.source_depths[i] for i in kept) if views.source_depths else ()
    return replace(views, sources=tuple(views.sources[i] for i in kept), source_depths=depths)


def _target_figures(
    views: RefineViews, near_m: float, far_m: float
) -> tuple[Refusal | None, float]:
    """Return the fault of the target's image or depth, if any, and the median depth."""
    depth = views.depth
    inside = torch.isfinite(depth) & (depth > 1.001 * near_m) & (depth < 0.999 * far_m)
    median = torch.where(inside, depth, torch.nan).nanmedian()
    # One transfer for all figures.
    figures = torch.stack([*_image_figures(views.target.image), inside.float().mean(), median])
    *image, usable, middle = figures.tolist()
    reason = _image_fault(image)
    if reason is None and usable < 1.0 - _CLIPPED:
        reason = Refusal.DEPTH_SATURATED
    return reason, middle if math.isfinite(middle) else 0.0


def _image_figures(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
    clipped_low = (image <= 1.5 / 255.0).float().mean()
    clipped_high = (image >= 253.5 / 255.0).float().mean()
    return image.mean(), image.std(), clipped_low, clipped_high


def _image_fault(figures: Sequence[float]) -> Refusal | None:
    mean, deviation, low, high = figures
    if not math.isfinite(mean):
        return Refusal.IMAGE_CONSTANT
    if low > _CLIPPED or (deviation < _FLAT and mean < _DARK):
        return Refusal.IMAGE_BLACK
    if high > _CLIPPED or (deviation < _FLAT and mean > _BRIGHT):
        return Refusal.IMAGE_SATURATED
    return Refusal.IMAGE_CONSTANT if deviation < _FLAT else None


def _usable(
    target: Keyframe, sources: Sequence[Keyframe], least_m: float
) -> tuple[list[int], Refusal | None]:
    """Return the indices of the usable sources, and the fault of the last unusable one."""
    rows = []
    for source in sources:
        same = source.image.shape == target.image.shape
        difference = (source.image - target.image).abs().mean() if same else torch.tensor(1.0)
        rows.append(torch.stack([*_image_figures(source.image), difference.to(source.image)]))
    kept: list[int] = []
    reason = None
    for index, (source, row) in enumerate(zip(sources, torch.stack(rows).tolist(), strict=True)):
        fault = _source_fault(target, source, row, least_m)
        if fault is None:
            kept.append(index)
        reason = fault or reason
    return kept, reason


def _source_fault(
    target: Keyframe, source: Keyframe, row: Sequence[float], least_m: float
) -> Refusal | None:
    moved = (source.T_map_camera[:3, 3] - target.T_map_camera[:3, 3]).norm()
    if not bool(torch.isfinite(source.T_map_camera).all()):
        return Refusal.POSE_NOT_FINITE
    *figures, difference = row
    fault = _image_fault(figures)
    if fault is not None:
        return fault
    if difference < _SAME:
        return Refusal.SAME_IMAGE
    # Pure rotation gives no parallax, whatever the images look like.
    return Refusal.SMALL_PARALLAX if float(moved) < least_m else None
