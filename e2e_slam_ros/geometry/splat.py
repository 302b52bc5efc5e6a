"""The depth of one keyframe, seen from another."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.masks import known

# Of points that fall on one pixel only those this near to the nearest count, relative.
_SAME_SURFACE = 0.07
_NEAREST_M = 0.05


def splat_depth(
    depth: torch.Tensor,
    weight: torch.Tensor,
    camera: PinholeCamera,
    T_target_source: torch.Tensor,
    target: PinholeCamera,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move each pixel of a depth map to the four pixels around where another camera sees it.

    The nearest surface wins; the mean is that of log depth.

    Args:
        depth: (1, 1, h, w) metres, 0 = unknown.
        weight: (1, 1, h, w) in [0, 1].
        camera: of ``depth``.
        T_target_source: (4, 4).
        target: of the result, its size.

    Returns:
        Depth, 0 = unknown, and weight, (1, 1, target.height, target.width) each.
    """
    height, width = depth.shape[-2:]
    v, u = torch.meshgrid(
        torch.arange(height, device=depth.device, dtype=torch.float32),
        torch.arange(width, device=depth.device, dtype=torch.float32),
        indexing="ij",
    )
    T = T_target_source.double()
    project = target.matrix(dtype=torch.float64).to(T.device)
    unproject = torch.linalg.inv(camera.matrix(dtype=torch.float64)).to(T.device)
    turn = (project @ T[:3, :3] @ unproject).to(depth)
    move = (project @ T[:3, 3]).to(depth)
    points = turn @ torch.stack([u, v, torch.ones_like(u)]).view(3, -1)
    points = points * depth.reshape(1, -1) + move[:, None]
    z = points[2]
    used = known(depth).reshape(-1) & (weight.reshape(-1) > 0) & (z > _NEAREST_M)
    x, y, z = points[0] / z, points[1] / z, z
    corners = [(x.floor() + i, y.floor() + j) for i in (0, 1) for j in (0, 1)]
    column = torch.cat([c for c, _ in corners])
    row = torch.cat([r for _, r in corners])
    x, y, z, share = x.repeat(4), y.repeat(4), z.repeat(4), weight.reshape(-1).repeat(4)
    share = share * (1.0 - (x - column).abs()) * (1.0 - (y - row).abs())
    inside = used.repeat(4) & (column >= 0) & (column < target.width)
    inside &= (row >= 0) & (row < target.height) & (share > 0)
    place = (row * target.width + column)[inside].long()
    z, share = z[inside], share[inside]
    flat = torch.full((target.height * target.width,), torch.inf).to(depth)
    nearest = flat.scatter_reduce(0, place, z, "amin")
    share = share * (z <= nearest[place] * (1.0 + _SAME_SURFACE))
    total = torch.zeros_like(flat).scatter_add_(0, place, share)
    logarithm = torch.zeros_like(flat).scatter_add_(0, place, share * z.log())
    some = total > 1e-4
    result = torch.where(some, (logarithm / torch.where(some, total, 1.0)).exp(), 0.0)
    shape = (1, 1, target.height, target.width)
    return result.view(shape), torch.where(some, total.clamp_max(1.0), 0.0).view(shape)
