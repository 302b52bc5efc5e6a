"""Building blocks of procedural textures: periodic noise, cells, colour ramps."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from e2e_slam_ros.simulation.builder import Vector
from e2e_slam_ros.simulation.dice import Dice


def coordinates(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return u (right) and v (down) in [0, 1) of a square texture, each (size, size)."""
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    return axis.expand(size, size), axis.unsqueeze(1).expand(size, size)


def value_noise(dice: Dice, size: int, across: int, down: int) -> torch.Tensor:
    """Return periodic smooth noise (size, size) in about [0, 1] with the given cell counts."""
    grid = F.pad(dice.rand(1, 1, down, across), (2, 2, 2, 2), mode="circular")
    # Resampling with a margin of two cells, which is cut off again, makes the texture seamless.
    tall, wide = size * (down + 4) // down, size * (across + 4) // across
    smooth = F.interpolate(grid, size=(tall, wide), mode="bicubic", align_corners=False)
    top, left = (tall - size) // 2, (wide - size) // 2
    return smooth[0, 0, top : top + size, left : left + size]


def fbm(dice: Dice, size: int, cells: int = 4, octaves: int = 5, stretch: int = 1) -> torch.Tensor:
    """Return fractal noise (size, size) in about [0, 1].

    Each octave has half the amplitude of the octave before.
    """
    total, weight = torch.zeros(size, size), 0.0
    for octave in range(octaves):
        down = cells * 2**octave
        across = max(2, down // stretch)
        if max(down, across) > size // 2 or down < 2:
            break
        gain = 0.6**octave
        total = total + gain * value_noise(dice, size, across, down)
        weight += gain
    return total / max(weight, 1e-6)


def normalised(pattern: torch.Tensor) -> torch.Tensor:
    """Return the pattern stretched to [0, 1]."""
    low, high = pattern.amin(), pattern.amax()
    return (pattern - low) / (high - low).clamp_min(1e-6)


def mix(low: Vector, high: Vector, amount: torch.Tensor) -> torch.Tensor:
    """Return the colour (..., 3) between two sRGB colours."""
    a, b = torch.tensor(low), torch.tensor(high)
    return a + (b - a) * amount.unsqueeze(-1)


def shade(color: Vector, factor: float) -> Vector:
    """Return a lighter or darker colour."""
    red, green, blue = (min(max(c * factor, 0.0), 1.0) for c in color)
    return red, green, blue


def over(image: torch.Tensor, mask: torch.Tensor, color: torch.Tensor) -> torch.Tensor:
    """Return ``image`` (S, S, 3) with ``color`` (broadcastable) where ``mask`` (S, S) is 1."""
    return image + (color - image) * mask.unsqueeze(-1)


def grain(dice: Dice, size: int, rings: float) -> torch.Tensor:
    """Return wood grain (size, size) in [0, 1], running along u."""
    _, v = coordinates(size)
    warp = fbm(dice, size, cells=4, octaves=4, stretch=4)
    lines = 0.5 + 0.5 * torch.sin(2 * math.pi * (round(rings) * v + 2.5 * warp))
    fine = fbm(dice, size, cells=size // 8, octaves=2, stretch=16)
    return (0.45 * lines + 0.25 * warp + 0.3 * fine).clamp(0, 1)


def cells(
    size: int, across: int, down: int, shift: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a pattern of ``across`` x ``down`` bricks.

    Every other row is shifted by ``shift`` bricks.

    Returns:
        index: (size, size) int64, the brick of each texel.
        edge_u, edge_v: (size, size), distance to the brick's edge in bricks along u and v.
    """
    u, v = coordinates(size)
    row = (v * down).floor()
    along = u * across + shift * (row % 2)
    column = along.floor() % across
    edge_u = 0.5 - ((along % 1.0) - 0.5).abs()
    edge_v = 0.5 - ((v * down) % 1.0 - 0.5).abs()
    return (row * across + column).long(), edge_u, edge_v
