"""Small objects on tables, on shelves and on the floor."""

from __future__ import annotations

import math

from e2e_slam_ros.simulation.builder import Place, SceneBuilder
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.palette import Palette


def clutter(
    build: SceneBuilder,
    place: Place,
    area: tuple[float, float],
    palette: Palette,
    dice: Dice,
    tallest: float = 0.45,
) -> None:
    """Put objects on a rectangle around ``place``, side by side along its longer edge."""
    slots = max(1, min(5, int(max(area) / 0.24)))
    along_x = area[0] >= area[1]
    for slot in range(slots):
        if dice.chance(0.25):
            continue
        a = ((slot + 0.5) / slots - 0.5) * max(area)
        b = dice.uniform(-0.3, 0.3) * min(area)
        spot = place.child((a, b, 0.0) if along_x else (b, a, 0.0), dice.uniform(-0.6, 0.6))
        room = min(0.9 * max(area) / slots, min(area))
        _thing(build, spot, min(room, 0.3), tallest, palette, dice)


def _thing(
    build: SceneBuilder, place: Place, room: float, tallest: float, palette: Palette, dice: Dice
) -> None:
    """Add one object no wider than ``room`` metres."""
    kind = dice.integer(0, 5)
    paint = palette.paint(dice, 0.3)
    high = min(tallest, room * dice.uniform(0.5, 1.4))
    if kind == 0:  # mug or tin
        build.cylinder(place, (0, 0, high / 2), room * 0.25, high, paint)
    elif kind == 1:  # ball or fruit
        across = min(room * 0.5, tallest)
        build.ball(place, (0, 0, across / 2), (across, across, across), paint)
    elif kind == 2:  # pile of books
        z = 0.0
        for _ in range(dice.integer(1, 4)):
            thick = dice.uniform(0.015, 0.04)
            if z + thick > tallest:
                break
            cover = palette.paint(dice, 0.05)
            size = (room * dice.uniform(0.6, 0.8), room * dice.uniform(0.45, 0.6), thick)
            build.box(place, (0, 0, z + thick / 2), size, cover, dice.uniform(-0.3, 0.3))
            z += thick
    elif kind == 3:  # small carton
        size = (room * 0.6, room * 0.45, high * 0.7)
        build.box(place, (0, 0, high * 0.35), size, palette.pick(dice, "carton"))
    elif kind == 4:  # vase: body and neck
        wide = min(room * 0.5, tallest * 0.6)
        build.ball(place, (0, 0, wide / 2), (wide, wide, wide), paint)
        build.cylinder(place, (0, 0, wide), wide * 0.18, wide * 0.5, paint)
    else:  # picture stand
        picture = palette.pick(dice, "picture")
        wide = min(room * 0.8, tallest)
        build.box(place, (0, 0, wide * 0.45), (wide, 0.02, wide * 0.9), picture)


def ball_on_floor(build: SceneBuilder, place: Place, palette: Palette, dice: Dice) -> None:
    """Add a ball, a pouf or a bin."""
    across = dice.uniform(0.2, 0.5)
    kind = dice.integer(0, 2)
    if kind == 0:
        build.ball(place, (0, 0, across / 2), (across, across, across), palette.paint(dice, 0.3))
    elif kind == 1:
        cloth = palette.pick(dice, "fabric", 0.6)
        build.cylinder(place, (0, 0, across * 0.4), across * 0.5, across * 0.8, cloth)
    else:
        build.cylinder(place, (0, 0, 0.18), 0.14, 0.36, palette.pick(dice, "metal", 0.6))


def wall_clock(build: SceneBuilder, place: Place, palette: Palette, dice: Dice) -> None:
    """Add a round clock with two hands. Its back is at ``place``, and it faces -y."""
    radius = dice.uniform(0.12, 0.2)
    dark = palette.pick(dice, "metal", 0.4, (0.12, 0.12, 0.12))
    pale = palette.pick(dice, "ceiling", 0.5, (0.97, 0.96, 0.93))
    build.cylinder(place, (0, -0.02, 0), radius, 0.04, dark, axis="y")
    build.cylinder(place, (0, -0.042, 0), radius * 0.9, 0.01, pale, axis="y")
    angle = dice.uniform(0, 2 * math.pi)
    x, z = math.cos(angle), math.sin(angle)
    build.cylinder(place, (x * 0.03, -0.05, z * 0.03), 0.015, 0.01, dark, axis="y")
    build.box(place, (0, -0.05, radius * 0.35), (0.014, 0.006, radius * 0.7), dark)
    build.box(place, (radius * 0.2, -0.05, 0), (radius * 0.45, 0.006, 0.018), dark)
