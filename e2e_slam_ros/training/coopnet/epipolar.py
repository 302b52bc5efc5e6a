"""Distance of flow from the epipolar lines of a motion (CoopNet supplement, eq. 26-29)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_grid

# Shorter than this, in units of a line's (a, b), a line has no direction: there is no baseline.
_SHORTEST = 1e-9


def fundamental_matrix(T_source_target: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Return M = K^-T [t]x R K^-1, (B, 3, 3) (eq. 26).

    Args:
        T_source_target: (B, 4, 4), R and t.
        intrinsics: (B, 3, 3), of both views.

    >>> fundamental_matrix(torch.eye(4)[None], torch.eye(3)[None]).abs().max()
    tensor(0.)
    """
    essential = se3.hat(T_source_target[:, :3, 3]) @ T_source_target[:, :3, :3]
    inverse = torch.linalg.inv(intrinsics)
    return inverse.mT @ essential @ inverse


def epipolar_distance(
    flow: torch.Tensor, T_source_target: torch.Tensor, intrinsics: torch.Tensor
) -> torch.Tensor:
    """Return the signed distance of p + F(p) from the line M p, pixels, (B, 1, H, W) (eq. 29).

    Without a baseline there are no lines: the distance is 0, and so is its gradient.

    Args:
        flow: (B, 2, H, W), F(p), pixels.
        T_source_target: (B, 4, 4).
        intrinsics: (B, 3, 3).

    >>> k = torch.tensor([[[10.0, 0.0, 3.5], [0.0, 10.0, 2.5], [0.0, 0.0, 1.0]]])
    >>> T = torch.eye(4)[None].clone()
    >>> T[:, 0, 3] = 0.1  # sideways: the lines are rows
    >>> flow = torch.tensor([5.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    >>> epipolar_distance(flow, T, k).abs().round(decimals=4).unique()
    tensor([2.])
    """
    height, width = flow.shape[-2:]
    pixel = pixel_grid(height, width, flow.device, flow.dtype)
    pixel = torch.cat([pixel, torch.ones_like(pixel[:1])]).flatten(1)
    line = fundamental_matrix(T_source_target, intrinsics) @ pixel
    there = pixel + torch.cat([flow, torch.zeros_like(flow[:, :1])], dim=1).flatten(2)
    length = line[:, :2].square().sum(1)
    has_line = length > _SHORTEST**2
    # The square root has no derivative at 0.
    scale = torch.where(has_line, length, torch.ones_like(length)).rsqrt()
    distance = torch.where(has_line, (line * there).sum(1) * scale, torch.zeros_like(length))
    return distance.reshape(-1, 1, height, width)


def epipolar_loss(
    flow: torch.Tensor,
    T_source_target: torch.Tensor,
    intrinsics: torch.Tensor,
    counted: torch.Tensor,
) -> torch.Tensor:
    """Return the mean absolute `epipolar_distance` over the counted pixels, pixels; 0 of none.

    Inferred: the absolute value (the printed loss is signed and has no lower bound), and the
    pixels: those that teach depth, since what moves does not obey the camera's motion.

    >>> k, T, flow = torch.eye(3)[None], torch.eye(4)[None], torch.ones(1, 2, 4, 4)
    >>> float(epipolar_loss(flow, T, k, flow[:, :1] > 0))
    0.0
    """
    distance = epipolar_distance(flow, T_source_target, intrinsics).abs()
    return (distance * counted).sum() / counted.sum().clamp_min(1)
