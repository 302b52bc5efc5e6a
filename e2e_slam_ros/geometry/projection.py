"""Pixels to points and back: the pinhole model on whole images.

Pixels have integer centres: the first pixel's centre is (0, 0). Depth is z in metres.
"""

from __future__ import annotations

import torch

# Points nearer than this to the camera plane (or behind it) have no projection; a micrometre
# keeps the quotient finite in single precision and is below any real depth.
MIN_Z_M = 1e-6


def pixel_grid(
    height: int,
    width: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return the coordinates of all pixel centres, (2, H, W): u to the right, v down."""
    u = torch.arange(width, device=device, dtype=dtype).expand(height, width)
    v = torch.arange(height, device=device, dtype=dtype).unsqueeze(1).expand(height, width)
    return torch.stack([u, v])


def pixel_rays(
    height: int, width: int, intrinsics: torch.Tensor, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Return ``K^-1 (u, v, 1)`` of every pixel, (B, 3, H, W), z = 1 (B = 1 for one K).

    Args:
        height, width: image size in pixels.
        intrinsics: (B, 3, 3) or (3, 3), pinhole without skew.
        dtype: of the result; the intrinsics' own by default.
    """
    k = _batched(intrinsics).to(dtype or intrinsics.dtype)
    u, v = (torch.arange(n, device=k.device, dtype=k.dtype) for n in (width, height))
    x = (u - k[:, 0, 2, None, None]) / k[:, 0, 0, None, None]
    y = (v[:, None] - k[:, 1, 2, None, None]) / k[:, 1, 1, None, None]
    size = (-1, height, width)
    x, y = x.expand(size), y.expand(size)
    return torch.stack([x, y, torch.ones_like(x)], dim=1)


def backproject(depth: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Return the camera-frame point of every pixel: ``d K^-1 (u, v, 1)`` (paper eq. 1).

    Args:
        depth: (B, 1, H, W), z in metres; 0 (invalid) gives the point (0, 0, 0).
        intrinsics: (B, 3, 3) or (3, 3), pinhole without skew.

    Returns:
        (B, 3, H, W) points in metres, in ``depth``'s dtype.
    """
    height, width = depth.shape[-2:]
    return depth * pixel_rays(height, width, intrinsics.to(depth.device), depth.dtype)


def project(points: torch.Tensor, intrinsics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where camera-frame points fall in the image.

    Args:
        points: (B, 3, ...), metres.
        intrinsics: (B, 3, 3) or (3, 3), pinhole without skew.

    Returns:
        uv (B, 2, ...) in pixels and z (B, 1, ...) in metres. Where z is below a micrometre the
        point has no image: uv is finite but means nothing, so test z before using uv.
    """
    k = _batched(intrinsics).to(points)
    trailing = (1,) * (points.dim() - 2)
    focal = torch.stack([k[:, 0, 0], k[:, 1, 1]], dim=1).reshape(-1, 2, *trailing)
    centre = k[:, :2, 2].reshape(-1, 2, *trailing)
    z = points[:, 2:3]
    safe = torch.where(z > MIN_Z_M, z, torch.ones_like(z))
    return focal * (points[:, :2] / safe) + centre, z


def _batched(intrinsics: torch.Tensor) -> torch.Tensor:
    return intrinsics if intrinsics.dim() == 3 else intrinsics.unsqueeze(0)
