"""Objects on walls and ceilings: windows, doors, posters, clocks, skirting, partitions."""

from __future__ import annotations

import math

from e2e_slam_ros.simulation.builder import Place, SceneBuilder, Vector
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.layout import FloorPlan
from e2e_slam_ros.simulation.palette import Palette
from e2e_slam_ros.simulation.small_objects import clutter, wall_clock


def dress_walls(
    build: SceneBuilder,
    size: Vector,
    plan: FloorPlan,
    palette: Palette,
    dice: Dice,
    partition: bool = True,
) -> None:
    """Hang objects on all four walls, add skirting boards, and sometimes build a partition."""
    skirting = palette.pick(dice, "wood", 1.0, (0.95, 0.93, 0.9))
    for wall in range(4):
        length = size[0] if wall % 2 == 0 else size[1]
        reach = (size[1] if wall % 2 == 0 else size[0]) / 2
        # Frame of a wall: x along the wall, +y into the wall.
        yaw = wall * math.pi / 2
        face = Place(-reach * math.sin(yaw), reach * math.cos(yaw), 0.0, yaw)
        build.box(face, (0, -0.008, 0.04), (length, 0.016, 0.08), skirting)
        hang_along(build, face, length, size[2], plan, palette, dice)
    _ceiling(build, size, palette, dice)
    if partition and dice.chance(0.45):
        _partition(build, size, plan, palette, dice)


def hang_along(
    build: SceneBuilder,
    face: Place,
    length: float,
    height: float,
    plan: FloorPlan,
    palette: Palette,
    dice: Dice,
) -> None:
    """Fill each slot of about 1.3 m along a wall with one object."""
    slots = max(2, int(length / 1.3))
    for slot in range(slots):
        x = ((slot + 0.5) / slots - 0.5) * length + dice.uniform(-0.12, 0.12)
        kind = dice.choice((0, 0, 1, 1, 2, 3, 3, 4, 4, 4, 4, 7, 7))
        if kind == 0:
            wide, tall = dice.uniform(0.8, 1.05), dice.uniform(1.0, 1.3)
            view = palette.pick(dice, "window", tint=(1.0, 1.0, 1.0))
            build.box(face, (x, -0.015, height * 0.58), (wide, 0.03, tall), view)
            sill = palette.pick(dice, "stone", 0.8)
            build.box(face, (x, -0.07, height * 0.58 - tall / 2 - 0.02), (wide + 0.1, 0.14, 0.04),
                      sill)  # fmt: skip
        elif kind == 1:
            door = palette.pick(dice, "front", tint=dice.color(0.5, 1.0))
            spot = face.child((x, -0.4, 0.0))
            if plan.claim(spot.x, spot.y, 0.4, 0.4):
                build.box(face, (x, -0.02, 1.0), (0.88, 0.04, 2.0), door)
                brass = palette.pick(dice, "metal", 0.3, (0.9, 0.8, 0.5))
                build.ball(face, (x + 0.36, -0.07, 1.02), (0.06, 0.06, 0.06), brass)
        elif kind == 2:
            wall_clock(build, face.child((x, 0.0, dice.uniform(1.7, 2.0))), palette, dice)
        elif kind == 3:
            board = palette.pick(dice, "wood", 0.8)
            z = dice.uniform(1.35, 1.6)
            build.box(face, (x, -0.1, z), (0.9, 0.2, 0.025), board)
            clutter(build, face.child((x, -0.1, z + 0.0125)), (0.8, 0.16), palette, dice, 0.3)
        elif kind == 4:
            wide, tall = dice.uniform(0.4, 1.0), dice.uniform(0.4, 0.9)
            picture = palette.pick(dice, "picture", tint=(1.0, 1.0, 1.0))
            build.box(face, (x, -0.012, dice.uniform(1.35, 1.7)), (wide, 0.024, tall), picture)


def _ceiling(build: SceneBuilder, size: Vector, palette: Palette, dice: Dice) -> None:
    """Hang a lamp or lay beams below the ceiling. They emit no light into the room."""
    if dice.chance(0.5):
        shade = palette.paint(dice, 0.1)
        x, y = dice.uniform(-0.25, 0.25) * size[0], dice.uniform(-0.25, 0.25) * size[1]
        rod = palette.pick(dice, "metal", 0.3)
        build.cylinder(Place(x, y), (0, 0, size[2] - 0.08), 0.012, 0.16, rod)
        build.ball(Place(x, y), (0, 0, size[2] - 0.24), (0.34, 0.34, 0.2), shade)
    else:
        beam = palette.pick(dice, "wood", 1.2)
        for index in range(3):
            x = (index - 1) * size[0] / 3
            build.box(Place(x), (0, 0, size[2] - 0.06), (0.14, size[1], 0.12), beam)


def _partition(
    build: SceneBuilder, size: Vector, plan: FloorPlan, palette: Palette, dice: Dice
) -> None:
    """Build a wall from one side into the room, to make corners and occlusions."""
    wall = palette.pick(dice, "wall", 1.6)
    side = dice.choice((-1, 1))
    reach = dice.uniform(0.25, 0.42) * size[1]
    x = dice.uniform(-0.22, 0.22) * size[0]
    y = side * (size[1] / 2 - reach / 2)
    if plan.claim(x, y, 0.1, reach / 2):
        build.box(Place(x, y), (0, 0, size[2] / 2), (0.14, reach, size[2]), wall)
        picture = palette.pick(dice, "picture", tint=(1.0, 1.0, 1.0))
        z = dice.uniform(1.3, 1.6)
        build.box(Place(x, y), (0, 0, z), (0.17, min(0.7, 0.7 * reach), 0.6), picture)
