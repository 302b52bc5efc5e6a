"""Features of a neighbour on the planes of the keyframe (DeepV2D eq. 3)."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.full_precision import full_precision
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.multiview.deepv2d.architecture import DeepV2DArchitecture

# A plane behind the neighbour is moved to this z, metres: far out of its image.
_LEAST_Z_M = 1e-4


def plane_depths(architecture: DeepV2DArchitecture) -> torch.Tensor:
    """Return (D,) depths in metres of the planes, nearest first.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import PAPER
    >>> planes = plane_depths(PAPER)
    >>> len(planes), round(float(planes[0]), 2), float(planes[-1])
    (32, 0.2, 10.0)
    """
    near, far, count = architecture.near_m, architecture.far_m, architecture.planes
    if architecture.inverse_planes:
        return torch.linspace(1.0 / near, 1.0 / far, count).reciprocal()
    return torch.linspace(near, far, count)


def backprojected(
    features: torch.Tensor,
    T_source_target: torch.Tensor,
    intrinsics: torch.Tensor,
    planes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return C^j: a neighbour's features where each pixel of the keyframe would be seen (eq. 3).

    Args:
        features: (B, C, h, w), F_j.
        T_source_target: (B, 4, 4), G_j G_1^-1, metres.
        intrinsics: (B, 3, 3), of the feature map, of both views.
        planes: (D,) metres.

    Returns:
        volume (B, C, D, h, w), differentiable in features, pose and planes, and the share of
        each sample that lies inside the neighbour's image, (B, 1, D, h, w).

    >>> k, pose = torch.eye(3)[None], torch.eye(4)[None]
    >>> volume, inside = backprojected(torch.ones(1, 2, 4, 4), pose, k, torch.tensor([1.0, 2.0]))
    >>> volume.shape, float(inside.min())
    (torch.Size([1, 2, 2, 4, 4]), 1.0)
    """
    batch, channels, height, width = features.shape
    # The second part is 1 inside the image and falls to 0 outside.
    layers = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    grid = _grid(height, width, T_source_target, intrinsics.to(features), planes.to(features))
    sampled = functional.grid_sample(layers, grid, align_corners=False)
    volume = sampled.reshape(batch, channels + 1, len(planes), height, width)
    return volume[:, :channels], volume[:, channels:].clamp(0.0, 1.0)


def group_correlation(keyframe: torch.Tensor, volume: torch.Tensor, groups: int) -> torch.Tensor:
    """Return (B, G, D, h, w): the mean product of each group of channels (Guo et al. 2019).

    Args:
        keyframe: (B, C, h, w), F_1.
        volume: (B, C, D, h, w), C^j.
        groups: G, divides C.

    >>> one = torch.ones(1, 4, 2, 2)
    >>> group_correlation(one, 0.5 * one[:, :, None].expand(1, 4, 3, 2, 2), 2).unique()
    tensor([0.5000])
    """
    batch, channels, planes, height, width = volume.shape
    product = volume * keyframe.unsqueeze(2)
    parts = product.reshape(batch, groups, channels // groups, planes, height, width)
    return parts.mean(2)


def _grid(
    height: int,
    width: int,
    T_source_target: torch.Tensor,
    intrinsics: torch.Tensor,
    planes: torch.Tensor,
) -> torch.Tensor:
    """Return sampling positions (B, D h, w, 2) in [-1, 1] of `grid_sample`."""
    # K (R K^-1 p + t / z): two vectors for each pixel serve all planes.
    dtype, device = planes.dtype, planes.device
    pose = T_source_target.to(dtype=torch.float64)
    k = intrinsics.double()
    pixels = pixel_grid(height, width, device, dtype).flatten(1)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[:1])])
    far = (k @ pose[:, :3, :3] @ torch.linalg.inv(k)).to(dtype) @ homogeneous
    near = (k @ pose[:, :3, 3:]).to(dtype)
    rho = planes.reciprocal()[None, :, None]
    u, v, z = (far[:, i, None] + rho * near[:, i, None] for i in range(3))
    inverse = z.clamp_min(_LEAST_Z_M).reciprocal()
    x = (2.0 * u * inverse + 1.0) / width - 1.0
    y = (2.0 * v * inverse + 1.0) / height - 1.0
    return torch.stack([x, y], dim=-1).reshape(len(pose), -1, width, 2)


@full_precision
def T_source_target_of(T_camera_map: torch.Tensor) -> torch.Tensor:
    """Return G_j G_1^-1 of the frames after the first: (B, N, 4, 4) to (B, N - 1, 4, 4).

    >>> T_source_target_of(torch.eye(4).expand(1, 3, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """
    return T_camera_map[:, 1:] @ se3.inverse(T_camera_map[:, :1])
