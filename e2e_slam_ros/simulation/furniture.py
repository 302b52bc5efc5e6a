"""Pieces of furniture made of boxes, cylinders and balls.

Each function adds one piece to a `SceneBuilder`. The piece stands on the floor around its own
origin. Its back faces +y, so that it can stand against a wall. Its footprint is the given size.
"""

from __future__ import annotations

import math

from e2e_slam_ros.simulation.builder import Place, SceneBuilder, Vector
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.palette import Palette
from e2e_slam_ros.simulation.small_objects import clutter


def legs(
    build: SceneBuilder, place: Place, size: Vector, thick: float, palette: Palette, dice: Dice
) -> None:
    """Add four legs below a rectangle ``size[0]`` x ``size[1]`` at height ``size[2]``."""
    material = palette.pick(dice, dice.choice(("wood", "metal")), 0.5)
    turned = dice.chance(0.4)
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (size[0] / 2 - thick), sy * (size[1] / 2 - thick)
            if turned:
                build.cylinder(place, (x, y, size[2] / 2), thick / 2, size[2], material)
            else:
                build.box(place, (x, y, size[2] / 2), (thick, thick, size[2]), material)


def table(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a table with things on it: round on a single foot, or rectangular on four legs."""
    top = palette.pick(dice, dice.choice(("wood", "wood", "stone")), 1.0)
    thick = dice.uniform(0.025, 0.05)
    if abs(size[0] - size[1]) < 0.25 and dice.chance(0.6):
        radius = min(size[0], size[1]) / 2
        foot = palette.pick(dice, "metal", 0.5)
        build.cylinder(place, (0, 0, size[2] - thick / 2), radius, thick, top)
        build.cylinder(place, (0, 0, size[2] / 2), 0.04, size[2] - 2 * thick, foot)
        build.cylinder(place, (0, 0, 0.015), 0.5 * radius, 0.03, foot)
        area = 0.6
    else:
        build.box(place, (0, 0, size[2] - thick / 2), (size[0], size[1], thick), top)
        legs(build, place, (size[0], size[1], size[2] - thick), dice.uniform(0.04, 0.07),
             palette, dice)  # fmt: skip
        area = 0.85
    clutter(build, place.child((0, 0, size[2])), (size[0] * area, size[1] * area), palette, dice)


def chair(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a chair: seat, legs, back with slats or a panel."""
    seat = palette.paint(dice) if dice.chance(0.6) else palette.pick(dice, "wood", 0.5)
    wide, deep, high = size
    level = 0.45
    build.box(place, (0, 0, level), (wide, deep, 0.04), seat)
    legs(build, place, (wide, deep, level - 0.02), 0.04, palette, dice)
    back = deep / 2 - 0.02
    if dice.chance(0.5):
        build.box(place, (0, back, (level + high) / 2 + 0.06), (wide, 0.03, high - level - 0.12),
                  seat)  # fmt: skip
        for x in (-wide / 2 + 0.03, wide / 2 - 0.03):
            build.box(place, (x, back, (level + high) / 2), (0.03, 0.025, high - level), seat)
    else:
        for step in range(4):
            x = (step - 1.5) * (wide - 0.05) / 3
            build.box(place, (x, back, (level + high) / 2), (0.035, 0.03, high - level), seat)
        build.box(place, (0, back, high), (wide, 0.035, 0.06), seat)


def shelf(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add an open bookcase: sides, back, boards, rows of books and trinkets."""
    wide, deep, high = size
    board = palette.pick(dice, "wood", 1.0)
    thick = 0.025
    for x in (-wide / 2 + thick / 2, wide / 2 - thick / 2):
        build.box(place, (x, 0, high / 2), (thick, deep, high), board)
    build.box(place, (0, deep / 2 - 0.01, high / 2), (wide - 2 * thick, 0.015, high), board)
    floors = max(2, round(high / 0.38))
    gap = (high - thick) / floors
    for level in range(floors + 1):
        z = thick / 2 + level * gap
        build.box(place, (0, 0, z), (wide - 2 * thick, deep, thick), board)
        if level == floors:
            break
        on = place.child((0, 0, z + thick / 2))
        if dice.chance(0.7):
            length = (wide - 0.06) * dice.uniform(0.4, 1.0)
            tall = gap * dice.uniform(0.6, 0.85)
            left = dice.uniform(0, wide - 0.06 - length) - (wide - 0.06) / 2
            books = palette.pick(dice, "books")
            build.box(on, (left + length / 2, 0.02, tall / 2), (length, deep * 0.7, tall), books)
        else:
            clutter(build, on, (wide * 0.8, deep * 0.6), palette, dice, gap * 0.75)


def cabinet(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a closed cabinet (sideboard, wardrobe, fridge) with things on top if it is low."""
    wide, deep, high = size
    body = palette.pick(dice, dice.choice(("wood", "metal", "wood")), 0.9)
    front = palette.pick(dice, "front")
    base = dice.choice((0.0, 0.08, 0.15))
    build.box(place, (0, 0, (high + base) / 2), (wide, deep, high - base), body, faces={2: front})
    if base > 0:
        legs(build, place, (wide, deep, base), 0.05, palette, dice)
    if high < 1.3:
        clutter(build, place.child((0, 0, high)), (wide * 0.85, deep * 0.7), palette, dice)


def sofa(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a sofa or armchair with cushions."""
    wide, deep, high = size
    cloth = palette.pick(dice, "fabric", 0.7)
    arm = 0.16
    build.box(place, (0, 0, 0.22), (wide, deep, 0.3), cloth)
    build.box(place, (0, deep / 2 - 0.1, (high + 0.07) / 2), (wide, 0.2, high - 0.07), cloth)
    for x in (-wide / 2 + arm / 2, wide / 2 - arm / 2):
        build.box(place, (x, 0, 0.32), (arm, deep, 0.5), cloth)
    seats = max(1, round((wide - 2 * arm) / 0.65))
    each = (wide - 2 * arm) / seats
    cushion = palette.pick(dice, "fabric", 0.7)
    for index in range(seats):
        x = -wide / 2 + arm + (index + 0.5) * each
        build.box(place, (x, -0.1, 0.42), (each - 0.02, deep - 0.22, 0.12), cushion)
        if dice.chance(0.6):
            pillow = palette.paint(dice, 0.0)
            build.ball(place, (x, deep / 2 - 0.28, 0.62), (0.42, 0.2, 0.36), pillow)


def bed(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a bed: frame, mattress, blanket, pillows, headboard."""
    wide, deep, high = size
    frame = palette.pick(dice, "wood", 1.0)
    build.box(place, (0, 0, 0.16), (wide, deep, 0.28), frame)
    build.box(place, (0, deep / 2 - 0.03, high / 2), (wide, 0.06, high), frame)
    sheet = palette.pick(dice, "ceiling", 0.7, (0.95, 0.95, 0.95))
    build.box(place, (0, -0.03, 0.38), (wide - 0.04, deep - 0.1, 0.18), sheet)
    blanket = palette.pick(dice, "fabric", 0.9)
    build.box(place, (0, -0.2 * deep, 0.4), (wide + 0.02, deep * 0.6, 0.19), blanket)
    for x in (-0.25 * wide, 0.25 * wide):
        build.ball(place, (x, deep / 2 - 0.32, 0.52), (0.42 * wide, 0.4, 0.2), sheet)


def desk(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a desk with a monitor, keyboard, drawers and clutter."""
    wide, deep, high = size
    board = palette.pick(dice, "wood", 1.1)
    build.box(place, (0, 0, high - 0.02), (wide, deep, 0.04), board)
    legs(build, place, (wide, deep, high - 0.04), 0.05, palette, dice)
    front = palette.pick(dice, "front")
    side = dice.choice((-1, 1))
    build.box(place, (side * (wide / 2 - 0.25), 0.02, high / 2 - 0.02),
              (0.38, deep - 0.1, high - 0.12), board, faces={2: front})  # fmt: skip
    dark = palette.pick(dice, "metal", 0.5, (0.25, 0.25, 0.27))
    show = palette.pick(dice, "screen")
    x = -side * 0.12 * wide
    build.box(place, (x, 0.12, high + 0.3), (0.54, 0.03, 0.33), dark, faces={2: show})
    build.cylinder(place, (x, 0.15, high + 0.1), 0.02, 0.2, dark)
    build.cylinder(place, (x, 0.15, high + 0.01), 0.11, 0.015, dark)
    build.box(place, (x, -0.15, high + 0.01), (0.42, 0.14, 0.02), dark)
    corner = place.child((side * 0.33 * wide, 0.0, high))
    clutter(build, corner, (wide * 0.28, deep * 0.75), palette, dice)


def cartons(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a small stack of boxes, each turned a little."""
    z, scale = 0.0, 1.0
    while z < size[2] - 0.15 and scale > 0.5:
        tall = dice.uniform(0.18, 0.34)
        around = (size[0] * scale * 0.8, size[1] * scale * 0.8, tall)
        material = palette.pick(dice, "carton")
        build.box(place, (0, 0, z + tall / 2), around, material, dice.uniform(-0.3, 0.3))
        z, scale = z + tall, scale * dice.uniform(0.65, 0.95)


def plant(build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice) -> None:
    """Add a potted plant: pot, stem, a few balls of leaves."""
    radius = size[0] / 2
    pot = palette.paint(dice)
    leaves = palette.pick(dice, "plant", 0.35, (1.0, 1.0, 1.0))
    build.cylinder(place, (0, 0, 0.15), 0.6 * radius, 0.3, pot)
    build.cylinder(
        place, (0, 0, 0.3 + size[2] * 0.2), 0.02, size[2] * 0.5, palette.pick(dice, "wood")
    )
    for index in range(dice.integer(3, 5)):
        angle = 2.4 * index
        x, y = 0.4 * radius * math.cos(angle), 0.4 * radius * math.sin(angle)
        high = size[2] * dice.uniform(0.55, 0.9)
        across = radius * dice.uniform(0.7, 1.1)
        build.ball(place, (x, y, high), (across, across, across * dice.uniform(0.7, 1.3)), leaves)


def floor_lamp(
    build: SceneBuilder, place: Place, size: Vector, palette: Palette, dice: Dice
) -> None:
    """Add a floor lamp with a drum or globe shade (it does not light the room)."""
    rod = palette.pick(dice, "metal", 0.4)
    shade = palette.paint(dice, 0.0)
    build.cylinder(place, (0, 0, 0.015), size[0] * 0.4, 0.03, rod)
    build.cylinder(place, (0, 0, size[2] / 2), 0.015, size[2] - 0.1, rod)
    if dice.chance(0.5):
        build.cylinder(place, (0, 0, size[2] - 0.15), size[0] / 2, 0.3, shade)
    else:
        build.ball(place, (0, 0, size[2] - 0.15), (size[0], size[0], size[0]), shade)
