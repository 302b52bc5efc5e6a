"""Materials of one room: a stack of textures, and random materials that use them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from e2e_slam_ros.simulation import patterns, pictures
from e2e_slam_ros.simulation.builder import Material, Vector
from e2e_slam_ros.simulation.dice import Dice

Pattern = Callable[[Dice, int], torch.Tensor]

_WALLS = (*(patterns.plaster,) * 4, *(patterns.wallpaper,) * 2, patterns.bricks, patterns.concrete)
_FLOORS = (*(patterns.planks,) * 3, *(patterns.tiles,) * 2, patterns.carpet, patterns.stone)

# Patterns for each part of a room, and the number of different textures of that part.
_PARTS: dict[str, tuple[tuple[Pattern, ...], int]] = {
    "wall": (_WALLS, 2),
    "floor": (_FLOORS, 1),
    "ceiling": ((patterns.plaster,), 1),
    "wood": ((patterns.wood,), 3),
    "fabric": ((patterns.fabric,), 3),
    "rug": ((patterns.carpet,), 1),
    "metal": ((patterns.metal,), 1),
    "stone": ((patterns.stone, patterns.tiles), 1),
    "plant": ((patterns.foliage,), 1),
    "picture": ((pictures.poster,), 5),
    "books": ((pictures.book_row,), 2),
    "screen": ((pictures.screen,), 1),
    "window": ((pictures.window,), 1),
    "carton": ((pictures.carton,), 2),
    "front": ((pictures.cabinet_front,), 2),
}
_FLAT = ("picture", "books", "screen", "window", "carton", "front")


class Palette:
    """Random materials by part of the room.

    Args:
        size: edge of a texture in texels, a power of two.

    >>> palette = Palette(Dice(0), size=64)
    >>> palette.pick(Dice(1), "picture").repeat_m  # one copy covers the whole face
    0.0
    """

    def __init__(self, dice: Dice, size: int) -> None:
        self._layers: dict[str, list[int]] = {}
        images: list[torch.Tensor] = []
        for part, (patterns_of_part, count) in _PARTS.items():
            self._layers[part] = list(range(len(images), len(images) + count))
            images += [dice.choice(patterns_of_part)(dice, size) for _ in range(count)]
        # Squaring removes the camera's gamma of 2, so that light adds up linearly.
        self.textures = torch.stack(images).clamp(0.0, 1.0).square()

    def pick(
        self, dice: Dice, part: str, repeat_m: float = 0.8, tint: Vector | None = None
    ) -> Material:
        """Return a material for ``part``. One copy of a picture covers its whole face."""
        flat = part in _FLAT
        if tint is None:
            level = dice.uniform(0.75, 1.0)
            near = 1.0 if flat else dice.uniform(0.75, 1.0)
            tint = (level, level * (0.5 + 0.5 * near), level * near)
        shiny = {"wood": 0.1, "metal": 0.35, "stone": 0.15, "floor": 0.06, "front": 0.08}
        return Material(
            texture=dice.choice(self._layers[part]),
            tint=tint,
            repeat_m=0.0 if flat else repeat_m * dice.uniform(0.8, 1.25),
            specular=shiny.get(part, 0.0) * dice.uniform(0.3, 1.0),
            emission={"screen": 0.7, "window": 1.6}.get(part, 0.0),
            offset=(0.5, 0.5) if flat else (dice.uniform(0, 1), dice.uniform(0, 1)),
        )

    def paint(self, dice: Dice, specular: float = 0.1) -> Material:
        """Return a strong colour over a faint texture (vases, cushions, plastic chairs)."""
        part = dice.choice(("ceiling", "metal", "fabric", "wood"))
        tint = dice.color(0.25, 0.95)
        return Material(
            dice.choice(self._layers[part]), tint, dice.uniform(0.4, 0.9), specular, 0.0,
            (dice.uniform(0, 1), dice.uniform(0, 1)),
        )  # fmt: skip
