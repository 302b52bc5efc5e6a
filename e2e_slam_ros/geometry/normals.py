"""Surface normals of an organised point image."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def normals_from_points(
    points: torch.Tensor, valid: torch.Tensor, finite: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit normals by the cross product of central differences, towards the camera.

    Args:
        points: (B, 3, H, W), metres, in the camera frame.
        valid: (B, 1, H, W) bool, which points exist.
        finite: the missing points are finite numbers, too: they need not be replaced.

    Returns:
        normals (B, 3, H, W), unit length where valid and 0 elsewhere, with ``n . p <= 0``; and
        valid (B, 1, H, W) bool: the pixel and its four neighbours exist (so no image border) and
        span a surface.
    """
    known = torch.zeros_like(valid)
    if min(points.shape[-2:]) < 3:
        return torch.zeros_like(points), known
    known[..., 1:-1, 1:-1] = (
        valid[..., 1:-1, 1:-1]
        & valid[..., 1:-1, :-2]
        & valid[..., 1:-1, 2:]
        & valid[..., :-2, 1:-1]
        & valid[..., 2:, 1:-1]
    )
    # NaNs of missing points must not reach the gradient through the mask.
    clean = points if finite else torch.where(valid, points, torch.zeros_like(points))
    across = clean[..., 1:-1, 2:] - clean[..., 1:-1, :-2]
    down = clean[..., 2:, 1:-1] - clean[..., :-2, 1:-1]
    cross = F.pad(cross_product(across, down), (1, 1, 1, 1))
    area = (cross * cross).sum(1, keepdim=True)
    # A pixel step of a micrometre each way: below that, rounding decides the direction.
    known = known & (area > 1e-24)
    # Products with 0 and 1 take a fraction of the time of torch.where. All numbers are finite.
    there = known.to(points.dtype)
    length = (area * there + (1.0 - there)).sqrt()
    turned = 1.0 - 2.0 * (cross * clean).sum(1, keepdim=True).detach().gt_(0.0)
    return cross / length * (turned * there), known


def smoothed_depth(depth: torch.Tensor, valid: torch.Tensor, side: int) -> torch.Tensor:
    """Return each depth's mean over the valid ones in a ``side`` x ``side`` window.

    For normals only: the noise of single pixels turns normals by tens of degrees where pixels are
    closer together than the noise is high (Keller et al. 2013 smooth depth for the same reason).

    Args:
        depth: (B, 1, H, W) metres, 0 where it is not valid; that stays 0.
        valid: (B, 1, H, W) bool.
        side: odd number of pixels.
    """
    known = valid.to(depth.dtype)
    total = _box_sum(torch.cat([depth, known], dim=1), side)
    return total[:, :1] / total[:, 1:].clamp_min(1.0) * known


def _box_sum(image: torch.Tensor, side: int) -> torch.Tensor:
    """Return the sum over a window of (..., H, W); adding slices beats torch's pooling by far."""
    height, width, half = image.shape[-2], image.shape[-1], side // 2
    padded = F.pad(image, (half, half, half, half))
    rows = padded[..., :height, :].clone()
    for step in range(1, side):
        rows += padded[..., step : step + height, :]
    total = rows[..., :width].clone()
    for step in range(1, side):
        total += rows[..., step : step + width]
    return total


def cross_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the cross product over dimension 1; ten times faster than torch's on a CPU."""
    ax, ay, az = a.unbind(1)
    bx, by, bz = b.unbind(1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=1)
