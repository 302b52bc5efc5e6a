"""Textures of rooms: walls, floors, fabrics, pictures. Each returns (S, S, 3) sRGB in [0, 1]."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.texture import (
    cells,
    coordinates,
    fbm,
    grain,
    mix,
    normalised,
    over,
    shade,
)


def plaster(dice: Dice, size: int) -> torch.Tensor:
    """Painted wall: pale, with faint stains, the grain of the roller and a few scuffs."""
    color = dice.color(0.6, 0.92)
    stains = normalised(fbm(dice, size, cells=2, octaves=4))
    rough = normalised(fbm(dice, size, cells=24, octaves=4))
    contrast = dice.uniform(0.06, 0.2)
    wall = mix(shade(color, 1 - contrast), shade(color, 1 + contrast), 0.4 * stains + 0.6 * rough)
    scuffs = (fbm(dice, size, cells=20, octaves=3) > 0.78).float()
    return over(wall, 0.15 * scuffs, torch.tensor(shade(color, 0.6)))


def concrete(dice: Dice, size: int) -> torch.Tensor:
    """Grey panels with clouds, pores and joints."""
    color = dice.color(0.45, 0.65)
    body = mix(shade(color, 0.75), shade(color, 1.2), normalised(fbm(dice, size, 3, 7)))
    pores = (fbm(dice, size, cells=size // 4, octaves=1) > 0.9).float()
    body = over(body, 0.6 * pores, torch.tensor(shade(color, 0.45)))
    _, edge_u, edge_v = cells(size, 1, 2, 0.5)
    joint = ((edge_u < 0.006) | (edge_v < 0.012)).float()
    return over(body, 0.7 * joint, torch.tensor(shade(color, 0.4)))


def wallpaper(dice: Dice, size: int) -> torch.Tensor:
    """Stripes or a grid of blossoms on paper."""
    color, other = dice.color(0.5, 0.85), dice.color(0.25, 0.9)
    u, v = coordinates(size)
    count = dice.integer(3, 8)
    if dice.chance(0.5):
        mask = (torch.sin(2 * math.pi * count * u) > dice.uniform(-0.5, 0.8)).float()
    else:
        x, y = (u * count) % 1 - 0.5, (v * count + 0.5 * ((u * count).floor() % 2)) % 1 - 0.5
        petals = 0.28 + 0.1 * torch.cos(dice.integer(3, 6) * torch.atan2(y, x))
        mask = (torch.hypot(x, y) < petals).float()
    paper = mix(shade(color, 0.85), shade(color, 1.08), normalised(fbm(dice, size, 8, 5)))
    return over(paper, 0.8 * mask, torch.tensor(other))


def bricks(dice: Dice, size: int) -> torch.Tensor:
    """Brick wall: rough bricks, each of its own colour, and pale mortar."""
    index, edge_u, edge_v = cells(size, 6, dice.choice((14, 16, 18)), 0.5)
    tone = dice.rand(int(index.max()) + 1)[index]
    red = (dice.uniform(0.45, 0.7), dice.uniform(0.25, 0.4), dice.uniform(0.18, 0.3))
    rough = normalised(fbm(dice, size, 16, 4))
    body = mix(shade(red, 0.55), shade(red, 1.25), 0.6 * tone + 0.4 * rough)
    joint = ((edge_u < 0.03) | (edge_v < 0.08)).float()
    return over(body, joint, mix((0.55, 0.53, 0.5), (0.8, 0.78, 0.74), rough))


def tiles(dice: Dice, size: int) -> torch.Tensor:
    """Floor tiles, chequered or marbled."""
    count = dice.choice((2, 4, 6))
    index, edge_u, edge_v = cells(size, count, count, 0.0)
    light, dark = dice.color(0.55, 0.9), dice.color(0.15, 0.6)
    checker = ((index // count + index % count) % 2).float()
    if dice.chance(0.4):
        checker = dice.rand(count * count)[index]
    marble = normalised(fbm(dice, size, 4, 6))
    veins = (1 - (marble - 0.5).abs() * 14).clamp(0, 1)
    body = mix(dark, light, 0.75 * checker + 0.25 * marble)
    body = over(body, 0.35 * veins, torch.tensor(shade(dark, 0.6)))
    joint = ((edge_u < 0.012 * count) | (edge_v < 0.012 * count)).float()
    return over(body, 0.8 * joint, torch.tensor((0.35, 0.34, 0.33)))


def planks(dice: Dice, size: int) -> torch.Tensor:
    """Wooden floor: planks of different tone, grain and thin dark gaps."""
    index, edge_u, edge_v = cells(size, 2, dice.choice((6, 8, 10)), dice.uniform(0.3, 0.7))
    tone = dice.rand(int(index.max()) + 1)[index]
    brown = (dice.uniform(0.45, 0.8), dice.uniform(0.32, 0.55), dice.uniform(0.18, 0.38))
    body = mix(shade(brown, 0.55), shade(brown, 1.15), 0.5 * tone + 0.5 * grain(dice, size, 24))
    joint = ((edge_u < 0.006) | (edge_v < 0.03)).float()
    return over(body, joint, torch.tensor(shade(brown, 0.25)))


def wood(dice: Dice, size: int) -> torch.Tensor:
    """One board, light to dark."""
    tone = dice.uniform(0.35, 1.1)
    brown = shade((0.72, dice.uniform(0.45, 0.6), dice.uniform(0.25, 0.42)), tone)
    return mix(shade(brown, 0.6), shade(brown, 1.2), grain(dice, size, dice.integer(6, 16)))


def fabric(dice: Dice, size: int) -> torch.Tensor:
    """Woven cloth, plain, striped or tartan."""
    color, other = dice.color(0.15, 0.8), dice.color(0.1, 0.9)
    u, v = coordinates(size)
    threads = size // 6
    weave = torch.sin(2 * math.pi * threads * u) * torch.sin(2 * math.pi * threads * v)
    tone = 0.5 + 0.2 * weave + 0.6 * (fbm(dice, size, 6, 6) - 0.5)
    cloth = mix(shade(color, 0.6), shade(color, 1.25), tone.clamp(0, 1))
    count, style = dice.integer(3, 9), dice.integer(0, 2)
    stripes = (torch.sin(2 * math.pi * count * u) > 0.3).float()
    crossing = (torch.sin(2 * math.pi * count * v) > 0.3).float()
    bands = (0.0 * u, stripes, 0.5 * (stripes + crossing))[style]
    return over(cloth, 0.6 * bands, torch.tensor(other))


def carpet(dice: Dice, size: int) -> torch.Tensor:
    """Rug with a border and a repeated ornament."""
    base, first, second = dice.color(0.15, 0.6), dice.color(0.3, 0.9), dice.color(0.1, 0.9)
    u, v = coordinates(size)
    pile = normalised(fbm(dice, size, 12, 5))
    rug = mix(shade(base, 0.6), shade(base, 1.3), pile)
    x, y = (u - 0.5).abs(), (v - 0.5).abs()
    rings = torch.sin(2 * math.pi * dice.integer(2, 5) * (x + y)) * torch.cos(
        2 * math.pi * dice.integer(2, 6) * (x - y)
    )
    rug = over(rug, 0.7 * (rings > 0.25).float(), torch.tensor(first))
    border = ((torch.maximum(x, y) > 0.42) & (torch.maximum(x, y) < 0.46)).float()
    return over(rug, border, torch.tensor(second)) * (0.8 + 0.4 * pile.unsqueeze(-1)).clamp(0, 1.2)


def stone(dice: Dice, size: int) -> torch.Tensor:
    """Terrazzo or concrete: blotches and chips of several colours."""
    base = dice.color(0.4, 0.75)
    body = mix(shade(base, 0.6), shade(base, 1.2), normalised(fbm(dice, size, 4, 6)))
    for _ in range(3):
        chips = (fbm(dice, size, size // 10, 1) > dice.uniform(0.68, 0.78)).float()
        body = over(body, 0.7 * chips, torch.tensor(dice.color(0.1, 0.9)))
    return body


def metal(dice: Dice, size: int) -> torch.Tensor:
    """Brushed or painted metal with scratches."""
    color = dice.color(0.35, 0.8)
    brushed = fbm(dice, size, size // 8, 3, stretch=32)
    return mix(shade(color, 0.7), shade(color, 1.15), normalised(brushed + fbm(dice, size, 3, 4)))


def foliage(dice: Dice, size: int) -> torch.Tensor:
    """Leaves: green blotches with dark gaps."""
    light, dark = (0.35, dice.uniform(0.5, 0.75), 0.2), (0.05, 0.18, 0.06)
    return mix(dark, light, normalised(fbm(dice, size, 12, 5)).square())
