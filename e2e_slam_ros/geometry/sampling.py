"""Bilinear and nearest sampling of images at pixel coordinates."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def inside(uv: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return (B, 1, ...) bool: between the first and last pixel centre, both included.

    Args:
        uv: (B, 2, ...) in pixels; a NaN is outside.
        height, width: image size in pixels.
    """
    u, v = uv[:, :1], uv[:, 1:]
    return (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)


def sample_bilinear(image: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    """Return ``image`` at ``uv``, exactly the pixel's value where ``uv`` is a pixel centre.

    `torch.nn.functional.grid_sample` takes coordinates in [-1, 1], and in single precision that
    detour costs up to 6e-5 pixels at 640 columns. Normalising by a power of two makes it exact
    for whole pixels, so the image is padded to one; three times faster than gathering by hand.

    Args:
        image: (B, C, H, W), floating point.
        uv: (B, 2, h, w) in pixels, inside the image.

    Returns:
        (B, C, h, w), differentiable in ``image`` and ``uv``.
    """
    height, width = image.shape[-2:]
    tall, wide = _power_of_two(height), _power_of_two(width)
    padded = F.pad(image, (0, wide - width, 0, tall - height), mode="replicate")
    x = (2 * uv[:, 0] + 1) / wide - 1
    y = (2 * uv[:, 1] + 1) / tall - 1
    grid = torch.stack([x, y], dim=-1).to(image.dtype)
    # "border", because rounding may put the last pixel centre a hair beyond the padded edge.
    return F.grid_sample(padded, grid, padding_mode="border", align_corners=False)


def sample_nearest(image: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    """Return the pixel of ``image`` (B, C, H, W), any dtype, nearest to ``uv`` (B, 2, h, w)."""
    height, width = image.shape[-2:]
    u = uv[:, 0].round().clamp(0, width - 1).long()
    v = uv[:, 1].round().clamp(0, height - 1).long()
    return _gather(image, v * width + u)


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _gather(image: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    batch, channels = image.shape[:2]
    flat = index.reshape(batch, 1, -1).expand(batch, channels, -1)
    return image.flatten(2).gather(2, flat).reshape(batch, channels, *index.shape[1:])
