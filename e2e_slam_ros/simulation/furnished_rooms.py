"""Random rooms with models of real furniture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.simulation import small_objects
from e2e_slam_ros.simulation.builder import Material, SceneBuilder, Vector
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.exposure import expose
from e2e_slam_ros.simulation.furnisher import Furnisher
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary
from e2e_slam_ros.simulation.generate import AT_WALL, between
from e2e_slam_ros.simulation.layout import FloorPlan
from e2e_slam_ros.simulation.palette import Palette
from e2e_slam_ros.simulation.room_contents import CONTENTS
from e2e_slam_ros.simulation.scene import Lamps, Scene
from e2e_slam_ros.simulation.scene_queries import distance
from e2e_slam_ros.simulation.shadow import bake_shadows
from e2e_slam_ros.simulation.walls import dress_walls

# Streams of the generator that other scenes do not use.
_LAYOUT, _TEXTURES = 51, 52
_EYE_M = 1.35


@dataclass(frozen=True)
class RoomKind:
    """Size of a kind of room and how its surfaces look.

    Attributes:
        low, high: least and greatest length, width and height in metres.
        weight: how often the kind comes, relative to the others.
        dressed: share of the rooms with windows, doors and pictures on the walls.
        plain: share of the rooms with walls of one colour.
        primitives: most pieces made of boxes, cylinders and balls.

    >>> ROOM_KINDS["corridor"].low
    (4.5, 1.5, 2.3)
    """

    low: Vector
    high: Vector
    weight: float = 1.0
    dressed: float = 0.8
    plain: float = 0.35
    primitives: int = 2


ROOM_KINDS: dict[str, RoomKind] = {
    "living": RoomKind((3.8, 3.4, 2.3), (7.5, 6.0, 3.2), 1.2),
    "bedroom": RoomKind((3.2, 3.0, 2.3), (5.5, 5.0, 2.9)),
    "office": RoomKind((3.4, 3.2, 2.4), (8.0, 6.5, 3.2), 1.6, 0.6, 0.5),
    "corridor": RoomKind((4.5, 1.5, 2.3), (9.0, 2.2, 3.0), 0.7, 0.6, 0.5, 1),
    "kitchen": RoomKind((3.0, 2.8, 2.3), (6.0, 4.5, 2.9), 1.0, 0.5, 0.4, 1),
    "sparse": RoomKind((3.2, 3.0, 2.3), (7.0, 6.0, 3.3), 0.8, 0.3, 1.0, 3),
}  # fmt: skip


def generate_furnished_scene(
    seed: int,
    library: FurnitureLibrary,
    device: torch.device | str = "cpu",
    texture_size: int = 256,
    shadow_size: int = 256,
) -> Scene:
    """Return a random room with models of a library. The same seed gives the same room.

    Args:
        device: device of the returned tensors. The scene is computed on the CPU.
        texture_size: edge of a texture in texels, a power of two from 64.
        shadow_size: edge of a face of the shadow cube maps in texels; 0 for no shadows.
    """
    dice = Dice(seed, stream=_LAYOUT)
    palette = Palette(Dice(seed, stream=_TEXTURES), texture_size)
    plain = palette.textures.shape[0]
    textures = torch.cat([palette.textures, torch.ones(1, texture_size, texture_size, 3)])
    name = _drawn_kind(dice)
    kind = ROOM_KINDS[name]
    wide, deep, high = (dice.uniform(a, b) for a, b in zip(kind.low, kind.high, strict=True))
    size = (wide, deep, high)
    build, plan = SceneBuilder(), FloorPlan(wide, deep)
    build.hull(size, _room_faces(palette, plain, dice.chance(kind.plain), dice))
    furnisher = Furnisher(
        library, build, plan, palette, dice, plain, size,
        recolour=dice.choice((0.0, 0.3, 0.6)), gloss=dice.choice((0.1, 0.3, 0.7)),
    )  # fmt: skip
    CONTENTS[name](furnisher)
    if dice.chance(kind.dressed):
        dress_walls(build, size, plan, palette, dice, partition=name in ("living", "office"))
    _add_primitives(furnisher, kind.primitives, largest_deep=0.3 * deep)
    scene = build.build(textures, _lamps(size, dice)).to(device)
    if shadow_size:
        scene = bake_shadows(scene, shadow_size)
    scene = expose(scene, _free_spot(scene))
    # Some rooms are darker or brighter than a camera would make them.
    factor = math.exp(dice.uniform(-1.6, 0.4)) if dice.chance(0.4) else dice.uniform(0.8, 1.2)
    return replace(scene, exposure=scene.exposure * factor)


def _drawn_kind(dice: Dice) -> str:
    total = sum(kind.weight for kind in ROOM_KINDS.values())
    left = dice.uniform(0.0, total)
    for name, kind in ROOM_KINDS.items():
        left -= kind.weight
        if left < 0:
            return name
    return "living"


def _room_faces(palette: Palette, plain: int, bare: bool, dice: Dice) -> tuple[Material, ...]:
    """Return the materials of the walls, the floor and the ceiling."""
    tone = dice.color(*dice.choice(((0.7, 0.97), (0.7, 0.97), (0.3, 0.8), (0.08, 0.35))))
    gloss = 0.25 * dice.uniform(0.0, 1.0) ** 3

    def wall() -> Material:
        if bare:
            return Material(plain, tone, specular=gloss)
        return replace(palette.pick(dice, "wall", 1.6), specular=gloss)

    first, accent = wall(), wall()
    if bare and dice.chance(0.5):
        accent = Material(plain, dice.color(0.1, 0.9), specular=gloss)
    walls = [accent if dice.chance(0.3) else first for _ in range(4)]
    shine = dice.choice((0.0, 0.05, 0.15, 0.5, 0.9))
    floor = replace(palette.pick(dice, "floor", 1.8), specular=shine)
    if dice.chance(0.25):
        floor = Material(plain, dice.color(0.1, 0.8), specular=shine)
    ceiling = palette.pick(dice, "ceiling", 2.5, (0.96, 0.96, 0.95))
    if bare or dice.chance(0.4):
        ceiling = Material(plain, (0.95, 0.95, 0.94))
    return (*walls, floor, ceiling)


def _add_primitives(furnisher: Furnisher, most: int, largest_deep: float) -> None:
    """Add pieces made of boxes, cylinders and balls, and balls and bins on the floor."""
    build, plan, dice = furnisher.build, furnisher.plan, furnisher.dice
    offers = [offer for offer in AT_WALL if offer.high[1] <= largest_deep]
    for _ in range(dice.integer(0, most)):
        if not offers:
            break
        offer = dice.choice(offers)
        size = between(offer, dice)
        place = plan.against_wall(size[0], size[1], dice)
        if place is not None:
            offer.piece(build, place, size, furnisher.palette, dice)
    for _ in range(dice.integer(0, 2)):
        place = plan.anywhere(0.45, 0.45, dice)
        if place is not None:
            small_objects.ball_on_floor(build, place, furnisher.palette, dice)


def _lamps(size: Vector, dice: Dice) -> Lamps:
    """Return one to four lamps and the ambient light; some rooms have strong shadows."""
    positions, colors = [], []
    for index in range(dice.integer(1, 4)):
        spread = 0.25 if index == 0 else 0.45
        low = dice.chance(0.2) and index > 0
        positions.append(
            (
                dice.uniform(-spread, spread) * size[0],
                dice.uniform(-spread, spread) * size[1],
                dice.uniform(1.3, 1.8) if low else size[2] - dice.uniform(0.1, 0.5),
            )
        )
        power = dice.uniform(2.0, 5.0) if index == 0 else dice.uniform(0.3, 2.5)
        warm = dice.uniform(-0.15, 0.45)
        green, blue = 1.0 - 0.4 * abs(warm), 1.0 - max(warm, 0.0)
        colors.append((power * min(1.0, 1.0 + warm), power * green, power * blue))
    level = math.exp(dice.uniform(math.log(0.05), math.log(0.5)))
    tone = dice.uniform(0.8, 1.2)
    ambient = [[0.7 * level] * 3, [level, level, level * tone]]
    return Lamps(torch.tensor(positions), torch.tensor(colors), torch.tensor(ambient))


def _free_spot(scene: Scene) -> Vector:
    """Return the place at eye height that is farthest from everything, of a coarse grid."""
    half = scene.half[0].cpu()
    steps = torch.linspace(-0.8, 0.8, 9)
    x, y = torch.meshgrid(steps * half[0], steps * half[1], indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.full((81,), _EYE_M)], dim=1)
    best = int(distance(scene, points).argmax())
    return float(points[best, 0]), float(points[best, 1]), _EYE_M
