"""Images as a camera would see them that is turned about its centre, with another lens."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.projection import MIN_Z_M, pixel_rays


def turned_pixels(
    height: int,
    width: int,
    intrinsics: torch.Tensor,
    rotation: torch.Tensor,
    recorded: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where a turned camera's pixels lie in the recorded image.

    A camera that turns about its centre sees the same rays: the map is a homography, exact at any
    depth.

    Args:
        height, width: size of the turned camera's image, pixels.
        intrinsics: (3, 3) of the turned camera.
        rotation: (3, 3), from the turned camera's frame to the recorded one's.
        recorded: (3, 3), intrinsics of the recorded image.

    Returns:
        uv (h, w, 2), pixels of the recorded image, and z (h, w), the z of each pixel's ray in the
        recorded camera's frame where it is 1 in the turned one's; uv means nothing where z <= 0.
    """
    rays = pixel_rays(height, width, intrinsics[None])[0]
    x, y, z = torch.einsum("ij,jhw->ihw", rotation, rays)
    front = z.clamp_min(MIN_Z_M)
    k = recorded
    uv = torch.stack([k[0, 0] * x / front + k[0, 2], k[1, 1] * y / front + k[1, 2]], dim=-1)
    return uv, z


def resampled(
    image: torch.Tensor,
    depth: torch.Tensor,
    seen: torch.Tensor,
    uv: torch.Tensor,
    z: torch.Tensor,
    padding: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return image, depth and mask at the pixels that `turned_pixels` found.

    A point of z in the recorded camera has ``depth / z`` in the turned one. A pixel counts as seen
    where all pixels that it is interpolated between are.

    Args:
        image: (N, 3, H, W) float, interpolated between pixels.
        depth: (N, 1, H, W), the nearest pixel's is taken; 0 outside the image.
        seen: (N, 1, H, W) bool.
        uv, z: (h, w, 2) and (h, w).
        padding: how the image continues outside, a ``padding_mode`` of ``grid_sample``.
    """
    size = torch.tensor([image.shape[-1], image.shape[-2]], dtype=uv.dtype)
    grid = ((2.0 * uv + 1.0) / size - 1.0).expand(len(image), *uv.shape)
    image = functional.grid_sample(image, grid, padding_mode=padding, align_corners=False)
    depth = functional.grid_sample(depth, grid, mode="nearest", align_corners=False)
    share = functional.grid_sample(seen.to(image), grid, align_corners=False)
    in_front = z > MIN_Z_M
    depth = torch.where(in_front, depth / z.clamp_min(MIN_Z_M), 0.0)
    return image, depth, (share > 1.0 - 1e-3) & in_front
