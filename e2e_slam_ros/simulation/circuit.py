"""A corridor around a block, and a walk once around it: 40 m back to where it began."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.simulation import furniture
from e2e_slam_ros.simulation.builder import Place, SceneBuilder
from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.exposure import expose
from e2e_slam_ros.simulation.layout import FloorPlan
from e2e_slam_ros.simulation.palette import Palette
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.simulation.scene import Lamps, Scene
from e2e_slam_ros.simulation.shadow import bake_shadows
from e2e_slam_ros.simulation.walls import dress_walls, hang_along

_OUTER_M = (14.8, 10.6, 2.6)
_BLOCK_M = (10.4, 6.2)
# Half sizes and corner radius of the rounded rectangle that the camera walks along.
_PATH_M, _CORNER_M = (6.3, 4.15), 1.0
_EYE_M = 1.45
_SPEED_M_S = 0.7
# The camera looks this far to the outer wall of where it goes, radians.
_ASIDE = -0.35


def circuit_length_m() -> float:
    """Return the length of one round, metres."""
    straight = 4.0 * (_PATH_M[0] + _PATH_M[1]) - 8.0 * _CORNER_M
    return straight + 2.0 * math.pi * _CORNER_M


def circuit_reader(
    seed: int = 0,
    width: int = 320,
    height: int = 240,
    rate_hz: float = 7.5,
    device: torch.device | str = "cpu",
) -> ProceduralReader:
    """Return the walk around the corridor as a recorded sequence with exact depth."""
    path = circuit_trajectory(rate_hz, seed=seed)
    walk = (circuit_scene(seed, device), path)
    return ProceduralReader(seed, len(path), width, height, device, rate_hz, walk=walk)


def circuit_scene(seed: int, device: torch.device | str = "cpu", texture_size: int = 256) -> Scene:
    """Return a furnished corridor, 2.2 m wide, around a block. The same seed gives the same one.

    Args:
        device: device of the returned tensors.
        texture_size: edge of a texture in texels, a power of two from 64.
    """
    dice = Dice(seed, stream=1)
    palette = Palette(Dice(seed, stream=2), texture_size)
    build = SceneBuilder()
    walls = [palette.pick(dice, "wall", 1.6) for _ in range(4)]
    floor, ceiling = palette.pick(dice, "floor", 1.8), palette.pick(dice, "ceiling", 2.5)
    build.hull(_OUTER_M, (*walls, floor, ceiling))
    plan = FloorPlan(_OUTER_M[0], _OUTER_M[1])
    plan.claim(0.0, 0.0, _BLOCK_M[0] / 2, _BLOCK_M[1] / 2)
    height = _OUTER_M[2]
    build.box(Place(), (0, 0, height / 2), (*_BLOCK_M, height), palette.pick(dice, "wall", 1.6))
    dress_walls(build, _OUTER_M, plan, palette, dice, partition=False)
    for side in range(4):
        yaw = side * math.pi / 2
        length, reach = _BLOCK_M if side % 2 == 0 else _BLOCK_M[::-1]
        # Into the block is +y of the face: the block's near side lies opposite to the room's.
        face = Place(reach / 2 * math.sin(yaw), -reach / 2 * math.cos(yaw), 0.0, yaw)
        hang_along(build, face, length, height, plan, palette, dice)
    pieces = (furniture.shelf, furniture.cabinet, furniture.cartons, furniture.plant)
    for _ in range(24):
        piece = dice.choice(pieces)
        size = (dice.uniform(0.5, 1.2), dice.uniform(0.26, 0.4), dice.uniform(0.6, 2.0))
        place = plan.against_wall(size[0], size[1], dice)
        if place is not None:
            piece(build, place, size, palette, dice)
    scene = build.build(palette.textures, _lamps(dice)).to(device)
    corner = (_PATH_M[0], _PATH_M[1], _EYE_M)
    return expose(bake_shadows(scene, 256), corner)


def circuit_trajectory(rate_hz: float, overlap_m: float = 3.0, seed: int = 0) -> torch.Tensor:
    """Return a walk of one round and ``overlap_m`` more, which passes its start again.

    Args:
        rate_hz: poses a second; the walk is 0.7 m/s fast.
        overlap_m: length walked twice, metres.
        seed: of the sway.

    Returns:
        (N, 4, 4) float64, T_map_camera (camera optical frame).
    """
    dice = Dice(seed, stream=6)
    count = int((circuit_length_m() + overlap_m) / _SPEED_M_S * rate_hz)
    time = torch.arange(count, dtype=torch.float64) / rate_hz
    along, heading = _round(time * _SPEED_M_S)
    # Across, up, yaw, pitch and roll: three slow waves each, metres and radians.
    size = torch.tensor([0.02, 0.02, 0.03, 0.02, 0.008], dtype=torch.float64)
    hertz, phase = 0.15 + 0.45 * dice.rand(3, 5).double(), 2 * math.pi * dice.rand(3, 5).double()
    waves = torch.sin(2 * math.pi * hertz * time[:, None, None] + phase)
    sway = (size * waves.sum(1)).unbind(1)
    across = torch.stack([-heading.sin(), heading.cos()], dim=1)
    flat = along + across * sway[0][:, None]
    position = torch.cat([flat, (_EYE_M + sway[1])[:, None]], dim=1)
    return look_along(position, heading + _ASIDE + sway[2], -0.08 + sway[3], sway[4])


def _round(distance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return positions (N, 2) and headings (N,) at distances from the start, counter-clockwise."""
    x, y, r = *_PATH_M, _CORNER_M
    long, high, arc = 2 * (x - r), 2 * (y - r), 0.5 * math.pi * r
    at = torch.remainder(distance + long / 2, circuit_length_m())
    turns = torch.div(distance + long / 2, circuit_length_m(), rounding_mode="floor")
    position = torch.zeros(len(distance), 2, dtype=torch.float64)
    heading = torch.zeros_like(distance)
    begin = 0.0
    corners = ((x - r, -y + r), (x - r, y - r), (-x + r, y - r), (-x + r, -y + r))
    for side, (centre, length) in enumerate(zip(corners, (long, high) * 2, strict=True)):
        yaw = side * math.pi / 2
        ahead = torch.tensor([math.cos(yaw), math.sin(yaw)], dtype=torch.float64)
        outward = torch.tensor([math.sin(yaw), -math.cos(yaw)], dtype=torch.float64)
        middle = torch.tensor(centre, dtype=torch.float64)
        on_line = (at >= begin) & (at < begin + length)
        left = (at - begin - length)[:, None]
        position = torch.where(on_line[:, None], middle + r * outward + left * ahead, position)
        heading = torch.where(on_line, torch.full_like(heading, yaw), heading)
        begin += length
        on_arc = (at >= begin) & (at < begin + arc)
        angle = (at - begin) / r
        curved = middle + r * (angle.cos()[:, None] * outward + angle.sin()[:, None] * ahead)
        position = torch.where(on_arc[:, None], curved, position)
        heading = torch.where(on_arc, yaw + angle, heading)
        begin += arc
    return position, heading + 2.0 * math.pi * turns


def _lamps(dice: Dice) -> Lamps:
    """Return a lamp over each side and two corners of the corridor, and the ambient light."""
    x, y = _PATH_M
    places = ((0.0, -y), (x, 0.0), (0.0, y), (-x, 0.0), (x, y), (-x, -y))
    positions = [
        (px + dice.uniform(-0.3, 0.3), py + dice.uniform(-0.3, 0.3), _OUTER_M[2] - 0.3)
        for px, py in places
    ]
    colors = []
    for _ in places:
        power, warm = dice.uniform(2.0, 3.5), dice.uniform(0.0, 0.3)
        colors.append((power, power * (1 - 0.4 * warm), power * (1 - warm)))
    return Lamps(
        torch.tensor(positions), torch.tensor(colors), torch.full((2, 3), dice.uniform(0.25, 0.4))
    )
