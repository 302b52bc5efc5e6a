"""Inverse warp (view synthesis): the target view made from the pixels of a source view."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.full_precision import full_precision
from e2e_slam_ros.geometry.projection import MIN_Z_M, pixel_grid, pixel_rays
from e2e_slam_ros.geometry.sampling import inside, sample_bilinear


@dataclass(frozen=True, eq=False)
class Warp:
    """The result of an inverse warp for each target pixel.

    >>> K = torch.tensor([[4.0, 0.0, 1.5], [0.0, 4.0, 0.5], [0.0, 0.0, 1.0]])
    >>> source = torch.arange(8.0).view(1, 1, 2, 4)
    >>> warp = inverse_warp(source, torch.full((1, 1, 2, 4), 2.0), torch.eye(4), K, K)
    >>> bool(torch.equal(warp.image, source)), bool(warp.valid.all())
    (True, True)

    Attributes:
        image: (B, C, H, W), the source sampled at ``uv``; 0 where invalid.
        valid: (B, 1, H, W) bool: the target has a depth (finite, > 0), the point lies in front
            of the source camera, and it projects between the source's outermost pixel centres.
        z: (B, 1, H, W), metres: the point's depth in the source camera; 0 without target depth.
        uv: (B, 2, H, W), pixels of the source; (-1, -1) where the point has no projection.
    """

    image: torch.Tensor
    valid: torch.Tensor
    z: torch.Tensor
    uv: torch.Tensor


@full_precision
def inverse_warp(
    source: torch.Tensor,
    target_depth: torch.Tensor,
    T_source_target: torch.Tensor,
    intrinsics_target: torch.Tensor,
    intrinsics_source: torch.Tensor,
) -> Warp:
    """Return the target view synthesised from ``source``: p_s ~ K T D(p_t) K^-1 p_t.

    "End-2-End Self-Supervised SLAM", eq. 1-2. The projection is computed as a displacement from
    the target pixel, so that the identity motion moves nothing at all, whatever the depth.

    Args:
        source: (B, C, Hs, Ws), floating point.
        target_depth: (B, 1, H, W), z in metres; not finite or <= 0 is invalid.
        T_source_target: (B, 4, 4) or (4, 4), maps target-camera points to the source camera; a
            float64 pose is used at its full precision before it is rounded to the depth's dtype.
        intrinsics_target, intrinsics_source: (B, 3, 3) or (3, 3), pinhole without skew.

    Returns:
        `Warp`, differentiable in source, depth and pose.
    """
    has_depth = torch.isfinite(target_depth) & (target_depth > 0)
    depth = torch.where(has_depth, target_depth, torch.ones_like(target_depth))
    uv, z = _displaced(depth, T_source_target, intrinsics_target, intrinsics_source)
    has_image = has_depth & (z > MIN_Z_M)
    uv = torch.where(has_image, uv, torch.full_like(uv, -1.0))
    valid = inside(uv, source.shape[-2], source.shape[-1])
    image = sample_bilinear(source, torch.where(valid, uv, torch.zeros_like(uv)))
    return Warp(
        image=torch.where(valid, image, torch.zeros_like(image)),
        valid=valid,
        z=torch.where(has_depth, z, torch.zeros_like(z)),
        uv=uv,
    )


def _displaced(
    depth: torch.Tensor,
    T_source_target: torch.Tensor,
    k_target: torch.Tensor,
    k_source: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return source pixels (B, 2, H, W) and depths (B, 1, H, W) of target pixels with ``depth``.

    With the ray r = (x, y, 1) and M = R - I, the point is d r + d M r + t, and its normalised
    coordinate differs from x by (d (M r)_x + t_x - x (d (M r)_z + t_z)) / z_s: no cancellation.
    """
    height, width = depth.shape[-2:]
    transform = T_source_target if T_source_target.dim() == 3 else T_source_target.unsqueeze(0)
    identity = torch.eye(3, dtype=transform.dtype, device=transform.device)
    turn = (transform[:, :3, :3] - identity).to(depth)
    shift = transform[:, :3, 3].to(depth)[..., None, None]
    kt, ks = _as_batch(k_target, depth), _as_batch(k_source, depth)

    rays = pixel_rays(height, width, kt)
    turned = (turn @ rays.flatten(2)).reshape(-1, 3, height, width)
    moved = depth * turned + shift
    z = depth + moved[:, 2:]
    safe = torch.where(z > MIN_Z_M, z, torch.ones_like(z))
    step = (moved[:, :2] - rays[:, :2] * moved[:, 2:]) / safe

    pixels = pixel_grid(height, width, depth.device, depth.dtype).unsqueeze(0)
    focal_t, centre_t = _focal_and_centre(kt)
    focal_s, centre_s = _focal_and_centre(ks)
    # Where both cameras are the same these two terms are exactly zero.
    rescale = (focal_s / focal_t - 1) * (pixels - centre_t) + (centre_s - centre_t)
    return pixels + rescale + focal_s * step, z


def _focal_and_centre(k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    focal = torch.stack([k[:, 0, 0], k[:, 1, 1]], dim=1)[..., None, None]
    return focal, k[:, :2, 2, None, None]


def _as_batch(k: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return (k if k.dim() == 3 else k.unsqueeze(0)).to(like)
