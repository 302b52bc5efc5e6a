"""Plane sweep: correlation of a view with neighbouring views at a set of depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.multiview.box_mean import box_mean
from e2e_slam_ros.multiview.sweep_view import WINDOW_RADIUS, SweepView
from e2e_slam_ros.multiview.view_course import SHOWN, view_courses

# Positions that are sampled at once, in whole rows at all depths; planes whose windows are summed
# at once, or more planes of so many pixels in all: what they need stays in the cache.
_SAMPLED_AT_ONCE = 75_000
_PLANES_AT_ONCE, _PIXELS_AT_ONCE = 8, 140_000


@dataclass(frozen=True, eq=False)
class CostVolume:
    """Correlation of every pixel at every plane.

    Attributes:
        correlation: (D, h, w) in about [-1, 1], mean over the views that see the pixel.
        views: (D, h, w), number of views that see the pixel at that plane.
        inverse_depth: (D,) 1/m, ascending, evenly spaced.

    >>> rho = torch.tensor([0.2, 0.4, 0.6])
    >>> CostVolume(torch.ones(3, 4, 4), torch.ones(3, 4, 4), rho).views.shape
    torch.Size([3, 4, 4])
    """

    correlation: torch.Tensor
    views: torch.Tensor
    inverse_depth: torch.Tensor


def plane_sweep(
    target: SweepView, sources: Sequence[SweepView], inverse_depth: torch.Tensor
) -> CostVolume:
    """Correlate the target with its sources on fronto-parallel planes (Collins 1996).

    Args:
        sources: at least one other view.
        inverse_depth: (D,) 1/m, ascending, evenly spaced.

    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> camera = PinholeCamera(32, 24, fx=32.0, fy=32.0, cx=15.5, cy=11.5)
    >>> noise = torch.randn(1, 1, 24, 32, generator=torch.Generator().manual_seed(0))
    >>> pose = torch.eye(4).double()
    >>> moved = pose.clone()
    >>> moved[0, 3] = 0.1  # a baseline of 0.1 m: 3.2 px of disparity at 1 m
    >>> left, right = SweepView(noise, camera, pose), SweepView(noise, camera, moved)
    >>> plane_sweep(left, [right], torch.tensor([0.25, 0.5, 1.0])).correlation.shape
    torch.Size([3, 24, 32])
    """
    correlation, views = correlate(target, sources, inverse_depth[:, None])
    return CostVolume(correlation, views, inverse_depth)


def correlate(
    target: SweepView, sources: Sequence[SweepView], inverse_depth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlate the target with its sources at D inverse depths of each pixel.

    Args:
        target: of (h, w) pixels.
        sources: at least one other view.
        inverse_depth: (D, 1), the same for all pixels, or (D, h w), in 1/m.

    Returns:
        Correlation and number of views, (D, h, w) each, as in `CostVolume`.
    """
    planes, (height, width) = inverse_depth.shape[0], target.image.shape[-2:]
    if inverse_depth.shape[1] > 1:
        inverse_depth = inverse_depth.repeat_interleave(2, dim=1)  # for both coordinates
    courses = view_courses(target, sources)
    # Sums over the views of their images, and of 1 where they see the pixel.
    sums = target.image.new_zeros((2, planes, height, width))
    rows = max(1, _SAMPLED_AT_ONCE // (planes * width))
    if target.image.is_cuda:
        rows = height  # every call costs a launch
    for top in range(0, height, rows):
        part = sums[0, :, top : top + rows]
        for course in courses:
            part += course.sampled(inverse_depth, top, part.shape[1])
    torch.div(sums[0], SHOWN, out=sums[1]).round_()
    sums[0].sub_(sums[1], alpha=SHOWN)
    _correlate_windows(target.image[0, 0], sums)
    return sums[0], sums[1]


def _correlate_windows(image: torch.Tensor, sums: torch.Tensor) -> None:
    """Replace the sum of the views' images by its correlation with an image, in windows.

    Args:
        image: (h, w), of the target.
        sums: (2, D, h, w), of the views' images, changed in place; and of 1 in each view that sees
            a pixel.
    """
    sums[0] *= image
    planes = max(_PLANES_AT_ONCE, _PIXELS_AT_ONCE // image.numel())
    if image.is_cuda:
        planes = sums.shape[1]
    for start in range(0, sums.shape[1], planes):
        part = slice(start, start + planes)
        product, seen = box_mean(sums[:, part], WINDOW_RADIUS)
        torch.div(product, seen.clamp_min_(1e-3), out=sums[0, part])
