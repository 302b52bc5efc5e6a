"""Random appearance of a model: other colours, procedural textures, gloss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from e2e_slam_ros.simulation.builder import Material
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.furniture_library import FurnitureModel
from e2e_slam_ros.simulation.palette import Palette

_PARTS = ("ceiling", "wood", "fabric", "metal", "wood", "fabric")


def recoloured(model: FurnitureModel, dice: Dice) -> FurnitureModel:
    """Return the model with new colours for about half of its materials.

    Differences of brightness within a material stay.
    """
    colour = model.colour.copy()
    for part in np.unique(model.part):
        if dice.chance(0.5):
            mine = model.part == part
            mean = max(float(colour[mine].mean()), 0.05)
            tone = np.clip(colour[mine].mean(axis=1, keepdims=True) / mean, 0.4, 1.6)
            new = np.array(dice.color(0.08, 0.95), dtype=np.float32)
            colour[mine] = np.clip(tone * new, 0.03, 0.97)
    return replace(model, colour=colour)


def looks(
    model: FurnitureModel, palette: Palette, plain: int, dice: Dice, gloss: float
) -> list[Material]:
    """Return a material for each part of the model.

    Args:
        plain: texture layer without a pattern.
        gloss: greatest specular strength.
    """
    materials = []
    for _ in range(min(int(model.part.max()) + 1, 12)):
        shine = gloss * dice.uniform(0.0, 1.0) ** 2
        if dice.chance(0.5):
            materials.append(Material(plain, specular=shine))
            continue
        picked = palette.pick(dice, dice.choice(_PARTS), dice.uniform(0.3, 1.0), (1.0, 1.0, 1.0))
        materials.append(replace(picked, specular=shine, emission=0.0))
    return materials
