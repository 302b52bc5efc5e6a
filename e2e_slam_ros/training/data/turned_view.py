"""Images as cameras would see them that are turned about their centre, with another lens."""

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
    """Return where the pixels of turned cameras lie in the recorded images.

    A camera that turns about its centre sees the same rays: the map is a homography, exact at any
    depth.

    Args:
        height, width: size of the turned cameras' images, pixels.
        intrinsics: (B, 3, 3) of the turned cameras.
        rotation: (B, 3, 3), from the turned camera's frame to the recorded one's.
        recorded: (B, 3, 3), intrinsics of the recorded images.

    Returns:
        uv (B, h, w, 2), pixels of the recorded image, and z (B, h, w), the z of each pixel's ray
        in the recorded camera's frame where it is 1 in the turned one's; uv means nothing where
        z <= 0.
    """
    rays = pixel_rays(height, width, intrinsics)
    # Sums instead of a matrix product, which may run in reduced precision on a GPU.
    turned = (rotation[:, :, :, None, None] * rays[:, None]).sum(2)
    x, y, z = turned.unbind(1)
    front = z.clamp_min(MIN_Z_M)
    k = recorded[:, :, :, None, None]
    u = k[:, 0, 0] * x / front + k[:, 0, 2]
    v = k[:, 1, 1] * y / front + k[:, 1, 2]
    return torch.stack([u, v], dim=-1), z


def resampled(
    images: torch.Tensor,
    depths: torch.Tensor,
    seen: torch.Tensor,
    uv: torch.Tensor,
    z: torch.Tensor,
    padding: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images, depths and masks at the pixels that `turned_pixels` found.

    A point of z in the recorded camera has ``depth / z`` in the turned one. A pixel counts as seen
    where all pixels that it is interpolated between are.

    Args:
        images: (B, V, 3, H, W) float, V views of each of B cameras; interpolated between pixels.
        depths: (B, V, 1, H, W), the nearest pixel's is taken; 0 outside the image.
        seen: (B, V, 1, H, W) bool.
        uv, z: (B, h, w, 2) and (B, h, w).
        padding: how images continue outside, a ``padding_mode`` of ``grid_sample``.
    """
    size = uv.new_tensor([images.shape[-1], images.shape[-2]])
    grid = (2.0 * uv + 1.0) / size - 1.0

    def sample(views: torch.Tensor, **how: str) -> torch.Tensor:
        flat = functional.grid_sample(views.flatten(1, 2), grid, align_corners=False, **how)
        return flat.unflatten(1, views.shape[1:3])

    image = sample(images, padding_mode=padding)
    depth = sample(depths, mode="nearest")
    share = sample(seen.to(images))
    z = z[:, None, None]
    in_front = z > MIN_Z_M
    depth = torch.where(in_front, depth / z.clamp_min(MIN_Z_M), 0.0)
    return image, depth, (share > 1.0 - 1e-3) & in_front
