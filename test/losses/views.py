"""Warps and images made by hand for the tests of losses."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.warp import Warp


def textured(seed: int = 0, height: int = 12, width: int = 16) -> torch.Tensor:
    """(1, 3, H, W) noise in [0.2, 0.8], double precision."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((1, 3, height, width), generator=generator, dtype=torch.float64)
    return 0.2 + 0.6 * noise


def as_warp(image: torch.Tensor, valid: torch.Tensor | None = None) -> Warp:
    """A warp whose result is ``image``, zero where not ``valid``, as `inverse_warp` leaves it."""
    one = torch.ones_like(image[:, :1])
    valid = one.bool() if valid is None else valid
    image = torch.where(valid, image, torch.zeros_like(image))
    return Warp(image=image, valid=valid, z=one, uv=torch.zeros_like(image[:, :2]))
