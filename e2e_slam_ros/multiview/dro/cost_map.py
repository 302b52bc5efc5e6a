"""The feature-metric cost map (DRO eq. 1-2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.full_precision import full_precision
from e2e_slam_ros.geometry.projection import pixel_rays

# A point nearer to a camera than this is behind it.
_MIN_Z_M = 1e-3
_LEAST_SQUARE = 2.0**-40


@dataclass(frozen=True, eq=False)
class CostMap:
    """Distances of the features at D depths of each pixel, for each of N neighbours.

    Attributes:
        cost: (B, N, D, h, w) at least 0; 0 where the neighbour does not see the point.
        inside: (B, N, D, h, w), 1 where it does, else 0.
        uv: (B, N, D, h, w, 2), where the point is in the neighbour, in [-1, 1] of its image.

    >>> one = torch.ones(1, 2, 1, 4, 4)
    >>> mean, seen = CostMap(one, one, torch.zeros(1, 2, 1, 4, 4, 2)).mean()
    >>> mean.shape, float(seen.mean())
    (torch.Size([1, 1, 4, 4]), 1.0)
    """

    cost: torch.Tensor
    inside: torch.Tensor
    uv: torch.Tensor

    def mean(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return C_d of eq. 2 and the share of neighbours that see the point, (B, D, h, w) each.

        Neighbours that do not see the point do not enter the mean.
        """
        seen = self.inside.sum(1)
        return self.cost.sum(1) / seen.clamp_min(1.0), seen / self.inside.shape[1]

    def parallax(self) -> torch.Tensor:
        """Return (B, 1, h, w): how far the point moves between the first and the last depth.

        In shares of half the neighbour's image, the largest over the neighbours.
        """
        return (self.uv[:, :, -1] - self.uv[:, :, 0]).norm(dim=-1).clamp_max(1.0).amax(1, True)


@full_precision
def cost_map(
    features: torch.Tensor, depth: torch.Tensor, T_i_0: torch.Tensor, intrinsics: torch.Tensor
) -> CostMap:
    """Compare the reference's features with those of its neighbours (eq. 1).

    No gradient flows to depth and poses: the optimiser is one of order zero.

    Args:
        features: (B, V, C, h, w), view 0 is the reference, N = V - 1.
        depth: (B, D, h, w), metres: D candidates for each pixel.
        T_i_0: (B, N, 4, 4), points of the reference to neighbour i.
        intrinsics: (B, V, 3, 3), for images of the size of the features.
    """
    sampled, inside, grid = warped_features(features, depth, T_i_0, intrinsics)
    difference = sampled - features[:, :1, :, None]
    return CostMap(feature_distance(difference, 2) * inside, inside, grid)


def feature_distance(difference: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the length of differences of features along ``dim``; it can be differentiated at 0.

    >>> round(float(feature_distance(torch.tensor([3.0, 4.0]), 0)), 4)
    5.0
    """
    # The root has no slope at 0; below a millionth it is cut off.
    return difference.square().sum(dim).clamp_min(_LEAST_SQUARE).sqrt() - _LEAST_SQUARE**0.5


@full_precision
def warped_features(
    features: torch.Tensor, depth: torch.Tensor, T_i_0: torch.Tensor, intrinsics: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the neighbours' features at the reference's points.

    The arguments are those of `cost_map`.

    Returns:
        (B, N, C, D, h, w), and ``inside`` and ``uv`` of `CostMap`.
    """
    batch, views, channels, height, width = features.shape
    count, neighbours = depth.shape[1], views - 1
    with torch.no_grad():
        grid, inside = _sampling_grid(depth, T_i_0, intrinsics)
    sampled = functional.grid_sample(
        features[:, 1:].reshape(batch * neighbours, channels, height, width),
        grid.view(batch * neighbours, count * height, width, 2),
        padding_mode="border",
        align_corners=False,
    )
    shape = (batch, neighbours, channels, count, height, width)
    return sampled.view(shape), inside, grid


def _sampling_grid(
    depth: torch.Tensor, T_i_0: torch.Tensor, intrinsics: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return positions (B, N, D, h, w, 2) in [-1, 1] and (B, N, D, h, w) whether inside."""
    batch, count, height, width = depth.shape
    rays = pixel_rays(height, width, intrinsics[:, 0].to(depth)).flatten(2)
    pose, k = T_i_0.to(depth), intrinsics[:, 1:].to(depth)
    turned = (pose[..., :3, :3] @ rays[:, None]).view(batch, -1, 3, 1, height, width)
    points = turned * depth[:, None, None] + pose[..., :3, 3][..., None, None, None]
    z = points[:, :, 2]
    in_front = z > _MIN_Z_M
    safe = torch.where(in_front, z, torch.ones_like(z))
    focal = k[..., (0, 1), (0, 1)][..., None, None, None]
    centre = k[..., :2, 2][..., None, None, None]
    uv = focal * points[:, :, :2] / safe[:, :, None] + centre
    size = depth.new_tensor([width, height]).view(2, 1, 1, 1)
    # Half a pixel of the features is outside the last pixel's centre, and still in the image.
    inside = ((uv >= -0.5) & (uv <= size - 0.5)).all(2) & in_front
    scaled = ((2.0 * uv + 1.0) / size - 1.0).clamp(-2.0, 2.0)
    grid = torch.where(in_front[:, :, None], scaled, torch.full_like(scaled, 2.0))
    return grid.permute(0, 1, 3, 4, 5, 2), inside.to(depth)
