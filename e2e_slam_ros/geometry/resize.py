"""Image sizes, and depth images reduced without inventing points."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.camera import PinholeCamera

# Depth averaged over a working pixel must stay this close to its centre's, or it spans an edge.
_MAX_SPREAD = 0.02


def working_size(camera: PinholeCamera, working_width: int) -> tuple[int, int]:
    """Return (width, height) at the working width; images are never enlarged."""
    if working_width == 0 or working_width >= camera.width:
        return camera.width, camera.height
    return working_width, max(1, round(camera.height * working_width / camera.width))


def resize_depth(depth: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Reduce (1, 1, H, W) depth without inventing points between two surfaces.

    A working pixel gets the mean of the valid depths it covers where these belong to one
    surface (its centre is then the mean's), else the nearest recorded depth.
    """
    size = (height, width)
    nearest = functional.interpolate(depth, size, mode="nearest-exact")
    known = (depth > 0).float()
    share = functional.interpolate(known, size, mode="area")
    total = functional.interpolate(depth * known, size, mode="area")
    mean = total / share.clamp_min(1e-6)
    one_surface = (share > 0.99) & ((mean - nearest).abs() < _MAX_SPREAD * nearest)
    return torch.where(one_surface, mean, nearest)
