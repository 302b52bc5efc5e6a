"""A random furnished room from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.simulation import furniture, small_objects
from e2e_slam_ros.simulation.builder import Material, Place, SceneBuilder, Vector
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.exposure import expose
from e2e_slam_ros.simulation.layout import FloorPlan
from e2e_slam_ros.simulation.palette import Palette
from e2e_slam_ros.simulation.scene import Lamps, Scene
from e2e_slam_ros.simulation.shadow import bake_shadows
from e2e_slam_ros.simulation.walls import dress_walls

Piece = Callable[[SceneBuilder, Place, Vector, Palette, Dice], None]


@dataclass(frozen=True)
class PieceOffer:
    """A piece of furniture with its smallest and largest size in metres.

    >>> AT_WALL[0].low
    (0.6, 0.26, 0.8)
    """

    piece: Piece
    low: Vector
    high: Vector


AT_WALL: tuple[PieceOffer, ...] = (
    PieceOffer(furniture.shelf, (0.6, 0.26, 0.8), (1.4, 0.38, 2.1)),
    PieceOffer(furniture.shelf, (0.6, 0.26, 1.6), (1.2, 0.38, 2.1)),
    PieceOffer(furniture.sofa, (1.4, 0.8, 0.75), (2.2, 0.95, 0.9)),
    PieceOffer(furniture.sofa, (0.8, 0.8, 0.75), (1.0, 0.9, 0.95)),
    PieceOffer(furniture.desk, (1.1, 0.6, 0.7), (1.7, 0.8, 0.78)),
    PieceOffer(furniture.cabinet, (0.7, 0.4, 0.6), (1.6, 0.5, 1.0)),
    PieceOffer(furniture.cabinet, (0.7, 0.5, 1.7), (1.4, 0.62, 2.1)),
    PieceOffer(furniture.bed, (0.95, 1.95, 0.8), (1.7, 2.1, 1.1)),
    PieceOffer(furniture.table, (0.9, 0.5, 0.7), (1.5, 0.7, 0.95)),
    PieceOffer(furniture.floor_lamp, (0.3, 0.3, 1.4), (0.45, 0.45, 1.75)),
    PieceOffer(furniture.plant, (0.4, 0.4, 0.7), (0.7, 0.7, 1.5)),
    PieceOffer(furniture.cartons, (0.4, 0.35, 0.4), (0.7, 0.5, 1.2)),
)


def generate_scene(
    seed: int, device: torch.device | str = "cpu", texture_size: int = 256, shadow_size: int = 256
) -> Scene:
    """Return a random room. The same seed gives the same room.

    Args:
        device: device of the returned tensors. The scene is computed on the CPU.
        texture_size: edge of a texture in texels, a power of two from 64.
        shadow_size: edge of a face of the shadow cube maps in texels; 0 for no shadows.
    """
    dice = Dice(seed, stream=1)
    palette = Palette(Dice(seed, stream=2), texture_size)
    size = (dice.uniform(4.0, 7.0), dice.uniform(3.6, 6.0), dice.uniform(2.4, 3.0))
    build = SceneBuilder()
    build.hull(size, _room_faces(palette, dice))
    plan = FloorPlan(size[0], size[1])
    dress_walls(build, size, plan, palette, dice)
    _furnish(build, plan, palette, dice)
    scene = build.build(palette.textures, _lamps(size, dice)).to(device)
    if shadow_size:
        scene = bake_shadows(scene, shadow_size)
    return expose(scene)


def _room_faces(palette: Palette, dice: Dice) -> tuple[Material, ...]:
    """Return the materials of the walls, the floor and the ceiling."""
    wall = palette.pick(dice, "wall", 1.6)
    accent = palette.pick(dice, "wall", 1.6)
    walls = [accent if dice.chance(0.3) else wall for _ in range(4)]
    floor = palette.pick(dice, "floor", 1.8)
    ceiling = palette.pick(dice, "ceiling", 2.5, (0.96, 0.96, 0.95))
    return (*walls, floor, ceiling)


def _furnish(build: SceneBuilder, plan: FloorPlan, palette: Palette, dice: Dice) -> None:
    """Place a rug, a table with chairs, furniture along the walls and things on the floor."""
    if dice.chance(0.6):
        rug = replace(palette.pick(dice, "rug"), repeat_m=0.0, offset=(0.5, 0.5))
        spot = Place(dice.uniform(-0.6, 0.6), dice.uniform(-0.6, 0.6), 0, dice.uniform(-0.3, 0.3))
        build.box(
            spot, (0, 0, 0.006), (dice.uniform(1.4, 2.4), dice.uniform(1.2, 1.8), 0.012), rug
        )
    if dice.chance(0.7):
        _dining(build, plan, palette, dice)
    for _ in range(dice.integer(6, 10)):
        offer = dice.choice(AT_WALL)
        size = between(offer, dice)
        place = plan.against_wall(size[0], size[1], dice)
        if place is not None:
            offer.piece(build, place, size, palette, dice)
    for _ in range(dice.integer(1, 4)):
        place = plan.anywhere(0.5, 0.5, dice)
        if place is not None:
            small_objects.ball_on_floor(build, place, palette, dice)
    if dice.chance(0.5):
        place = plan.anywhere(0.6, 0.6, dice)
        if place is not None:
            furniture.chair(build, place, (0.45, 0.45, 0.9), palette, dice)


def _dining(build: SceneBuilder, plan: FloorPlan, palette: Palette, dice: Dice) -> None:
    """Place a table at a random place with chairs around it. Some chairs are pulled out."""
    low = dice.chance(0.3)
    wide, deep = dice.uniform(0.9, 1.6), dice.uniform(0.7, 1.0)
    place = plan.anywhere(wide + 0.9, deep + 0.9, dice)
    if place is None:
        return
    high = dice.uniform(0.38, 0.5) if low else dice.uniform(0.7, 0.78)
    furniture.table(build, place, (wide, deep, high), palette, dice)
    if low:
        return
    for side in range(4):
        reach = (deep if side % 2 == 0 else wide) / 2 + dice.uniform(0.0, 0.2)
        if dice.chance(0.75):
            turn = side * math.pi / 2
            spot = place.child((-math.sin(turn) * reach, math.cos(turn) * reach, 0.0), turn)
            seat = Place(spot.x, spot.y, 0.0, spot.yaw + dice.uniform(-0.25, 0.25))
            furniture.chair(build, seat, (0.42, 0.42, dice.uniform(0.82, 1.0)), palette, dice)


def between(offer: PieceOffer, dice: Dice) -> Vector:
    """Return a random size of a piece, metres."""
    a, b, c = (dice.uniform(low, high) for low, high in zip(offer.low, offer.high, strict=True))
    return a, b, c


def _lamps(size: Vector, dice: Dice) -> Lamps:
    """Return two to four lamps below the ceiling, one of them dominant, and the ambient light."""
    count = dice.integer(2, 4)
    positions, colors = [], []
    for index in range(count):
        spread = 0.2 if index == 0 else 0.42
        positions.append(
            (
                dice.uniform(-spread, spread) * size[0],
                dice.uniform(-spread, spread) * size[1],
                size[2] - dice.uniform(0.25, 0.5),
            )
        )
        warm = dice.uniform(0.0, 0.35)
        power = dice.uniform(2.5, 4.0) if index == 0 else dice.uniform(0.5, 2.0)
        colors.append((power, power * (1 - 0.4 * warm), power * (1 - warm)))
    level = dice.uniform(0.12, 0.35)
    tone = dice.uniform(0.85, 1.15)
    ambient = [[0.7 * level, 0.7 * level, 0.7 * level], [level, level, level * tone]]
    return Lamps(torch.tensor(positions), torch.tensor(colors), torch.tensor(ambient))
