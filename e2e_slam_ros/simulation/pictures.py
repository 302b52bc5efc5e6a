"""Textures that cover a face once: posters, book rows, screens, windows, boxes with labels."""

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


def poster(dice: Dice, size: int) -> torch.Tensor:
    """Framed picture: a gradient sky or field, random shapes, lines of writing."""
    u, v = coordinates(size)
    tone = (dice.uniform(-1, 1) * u + v + 0.5 * fbm(dice, size, 3, 5)).clamp(0, 1)
    image = mix(dice.color(0.1, 0.9), dice.color(0.2, 0.95), tone)
    for _ in range(dice.integer(5, 14)):
        image = over(image, _shape(dice, size), torch.tensor(dice.color(0.05, 0.95)))
    if dice.chance(0.6):
        image = over(image, _writing(dice, size, dice.uniform(0.55, 0.8), 0.93), torch.zeros(3))
    border = (torch.maximum((u - 0.5).abs(), (v - 0.5).abs()) > 0.47).float()
    return over(image, border, torch.tensor(dice.color(0.05, 0.9)))


def book_row(dice: Dice, size: int) -> torch.Tensor:
    """Spines of books of different width, height and colour, with titles."""
    u, v = coordinates(size)
    edges = torch.cumsum(0.5 + dice.rand(14), 0)
    index = torch.bucketize((u[0] * float(edges[-1])).contiguous(), edges).clamp(max=13)
    colors = torch.tensor([dice.color(0.1, 0.85) for _ in range(14)])
    top = (0.3 * dice.rand(14))[index].expand(size, size)
    title = 0.35 + 0.2 * dice.rand(14)[index].expand(size, size)
    spine = colors[index].expand(size, size, 3) * (0.8 + 0.3 * fbm(dice, size, 8, 4)).unsqueeze(-1)
    mark = ((v - title).abs() < 0.08).float() * (torch.sin(80 * v) > 0).float()
    image = over(spine, 0.8 * mark, torch.tensor((0.9, 0.85, 0.6)))
    gap = torch.zeros(size)
    gap[1:] = (index[1:] != index[:-1]).float()
    dark = torch.maximum((v < top).float(), gap.expand(size, size))
    return over(image, dark, torch.tensor((0.06, 0.05, 0.05)))


def screen(dice: Dice, size: int) -> torch.Tensor:
    """A monitor that shows windows with text."""
    u, v = coordinates(size)
    image = mix(dice.color(0.1, 0.4), dice.color(0.2, 0.6), v)
    for _ in range(dice.integer(2, 4)):
        x, y = dice.uniform(0.0, 0.5), dice.uniform(0.05, 0.5)
        wide, tall = dice.uniform(0.25, 0.5), dice.uniform(0.25, 0.45)
        pane = ((u - x).clamp(0, wide) == u - x) & ((v - y).clamp(0, tall) == v - y)
        image = over(image, pane.float(), torch.tensor(dice.color(0.7, 0.95)))
        text = _writing(dice, size, y + 0.06, y + tall) * pane.float()
        image = over(image, 0.8 * text, torch.tensor(dice.color(0.05, 0.3)))
    border = (torch.maximum((u - 0.5).abs(), (v - 0.5).abs()) > 0.475).float()
    return over(image, border, torch.full((3,), 0.04))


def window(dice: Dice, size: int) -> torch.Tensor:
    """Panes with sky, clouds and a skyline behind a white frame."""
    u, v = coordinates(size)
    clouds = normalised(fbm(dice, size, 3, 5))
    image = mix((0.45, 0.65, 0.95), (0.95, 0.96, 1.0), clouds)
    height = 0.55 + 0.3 * dice.rand(12)
    skyline = height[(u[0] * 12).long().clamp(max=11)].expand(size, size)
    image = over(image, (v > skyline).float(), torch.tensor(dice.color(0.25, 0.5)))
    image = over(image, (v > 0.8).float(), torch.tensor((0.25, 0.4, 0.18)))
    cross = torch.minimum((u - 0.5).abs(), (v - 0.4).abs()) < 0.02
    rim = torch.maximum((u - 0.5).abs(), (v - 0.5).abs()) > 0.46
    return over(image, (cross | rim).float(), torch.tensor((0.85, 0.85, 0.83)))


def carton(dice: Dice, size: int) -> torch.Tensor:
    """Cardboard with tape, a label and print."""
    u, v = coordinates(size)
    board = mix((0.5, 0.36, 0.22), (0.78, 0.6, 0.4), normalised(fbm(dice, size, 6, 6)))
    image = over(board, 0.7 * ((u - 0.5).abs() < 0.06).float(), torch.tensor((0.8, 0.7, 0.5)))
    x, y = dice.uniform(0.05, 0.5), dice.uniform(0.1, 0.5)
    label = ((u > x) & (u < x + 0.38) & (v > y) & (v < y + 0.3)).float()
    image = over(image, label, torch.tensor((0.92, 0.91, 0.88)))
    print_ = _writing(dice, size, y + 0.03, y + 0.28) * label
    return over(image, 0.9 * print_, torch.tensor(dice.color(0.05, 0.3)))


def cabinet_front(dice: Dice, size: int) -> torch.Tensor:
    """Doors or drawers with gaps and handles."""
    across, down = dice.integer(1, 3), dice.integer(1, 4)
    _, edge_u, edge_v = cells(size, across, down, 0.0)
    color = dice.color(0.3, 0.9)
    tone = grain(dice, size, 10) if dice.chance(0.5) else normalised(fbm(dice, size, 4, 6))
    image = mix(shade(color, 0.75), shade(color, 1.1), tone)
    gap = ((edge_u < 0.012 * across) | (edge_v < 0.012 * down)).float()
    image = over(image, gap, torch.tensor(shade(color, 0.2)))
    handle = ((edge_u > 0.5 - 0.05 * across) & ((edge_v - 0.2).abs() < 0.015 * down)).float()
    return over(image, handle, torch.tensor((0.75, 0.75, 0.72)))


def _shape(dice: Dice, size: int) -> torch.Tensor:
    """Return the mask of a disc, ring, bar or wedge somewhere in the texture."""
    u, v = coordinates(size)
    x, y, radius = dice.uniform(0.1, 0.9), dice.uniform(0.1, 0.9), dice.uniform(0.06, 0.28)
    angle = dice.uniform(0, math.pi)
    a = math.cos(angle) * (u - x) + math.sin(angle) * (v - y)
    b = math.cos(angle) * (v - y) - math.sin(angle) * (u - x)
    distance = torch.hypot(a, b)
    shapes = (
        distance < radius,
        (distance - radius).abs() < 0.3 * radius,
        (a.abs() < 1.5 * radius) & (b.abs() < 0.4 * radius),
        (b > -radius) & (b < radius - 2 * a.abs()),
    )
    return dice.choice(shapes).float()


def _writing(dice: Dice, size: int, top: float, bottom: float) -> torch.Tensor:
    """Return the mask of lines of words between two heights."""
    u, v = coordinates(size)
    lines = max(2, int((bottom - top) * 28))
    line = ((v - top) / max(bottom - top, 1e-3) * lines).floor()
    letters = dice.rand(lines, 56) > 0.32
    column = (u * 56).long().clamp(max=55)
    ink = letters[line.long().clamp(0, lines - 1), column]
    within = ((v - top) / max(bottom - top, 1e-3) * lines) % 1.0 < 0.55
    return (ink & within & (v > top) & (v < bottom) & (u > 0.12) & (u < 0.88)).float()
