"""Cameras close to things: above desks, before cupboards and walls."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.raycast import cast, view_table
from e2e_slam_ros.simulation.scene import HULL, Scene
from e2e_slam_ros.simulation.scene_queries import first_hit

_STREAM = 53
# Cameras tried in one go, and how often.
_DRAWN, _ROUNDS = 24, 8
_EDGE_PX, _FOCAL_PX = 16, 12.0
# Metres from the camera: least depth, and the range of the median depth.
_NEAREST_M, _CLOSE_M = 0.22, (0.4, 1.2)
# The second camera of a pair moves by this in all three directions and turns by this.
_MOVE_M, _TURN_RAD = (0.03, 0.12), 0.06
# Share of the views that look at a thing, and how much of those may show the bare room.
_AT_THINGS, _BARE = 0.8, 0.45
# Nothing is above a camera but what hangs within this distance of the ceiling. A camera with
# something above it may be in a cupboard.
_HANGING_M = 0.2
# Centres of the things, metres above the floor.
_LOW_M, _HIGH_M = 0.3, 1.9


def close_pairs(scene: Scene, count: int, seed: int) -> torch.Tensor:
    """Return pairs of cameras with a median depth of 0.4 to 1.2 m, a few centimetres apart.

    Depths of small pictures of many random cameras tell which are close to something and not
    within it. Where too few are found, the best of the others complete them.

    Args:
        scene: the room.
        count: number of pairs.
        seed: the same seed gives the same pairs on a CPU.

    Returns:
        (count, 2, 4, 4) float64, T_map_camera (camera optical frame), on the CPU.
    """
    dice = Dice(seed, stream=_STREAM)
    pairs: list[torch.Tensor] = []
    misfits: list[torch.Tensor] = []
    good = 0
    for _ in range(_ROUNDS):
        drawn, at_thing = _drawn(scene, dice)
        misfit = _misfit(scene, drawn[:, 0], at_thing)
        # The second cameras matter only where the first ones are good.
        chosen = (misfit == 0).nonzero()[:, 0]
        if len(chosen):
            misfit[chosen] = _misfit(scene, drawn[chosen, 1], at_thing[chosen])
        pairs.append(drawn)
        misfits.append(misfit)
        good += int((misfit == 0).sum())
        if good >= count:
            break
    order = torch.cat(misfits).argsort(stable=True)
    return torch.cat(pairs)[order[:count]]


def _drawn(scene: Scene, dice: Dice) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random pairs of cameras (N, 2, 4, 4), and which (N,) look at a thing."""
    half = (scene.half[0].cpu().double() - 0.2).clamp_min(0.1)
    spread = 2.0 * dice.rand(_DRAWN, 3).double() - 1.0
    position = spread * half
    position[:, 2] = 1.15 + 0.6 * spread[:, 2]
    yaw = (2.0 * dice.rand(_DRAWN).double() - 1.0) * math.pi
    pitch = 0.6 * (2.0 * dice.rand(_DRAWN).double() - 1.0) - 0.3

    centre = scene.centre.cpu().double()
    things = centre[(centre[:, 2] > _LOW_M) & (centre[:, 2] < _HIGH_M)][1:]
    at_thing = (dice.rand(_DRAWN) < _AT_THINGS) & (len(things) > 0)
    if len(things):
        target = things[(dice.rand(_DRAWN) * len(things)).long().clamp(max=len(things) - 1)]
        steep = 1.2 * dice.rand(_DRAWN).double() - 0.1
        away = _CLOSE_M[0] + (_CLOSE_M[1] - _CLOSE_M[0]) * dice.rand(_DRAWN, 1).double()
        side = torch.stack(
            [-steep.cos() * yaw.cos(), -steep.cos() * yaw.sin(), steep.sin()], dim=1
        )
        position = torch.where(at_thing[:, None], target + away * side, position)
        pitch = torch.where(at_thing, -steep, pitch) + 0.12 * dice.randn(_DRAWN).double()
        yaw = yaw + 0.12 * dice.randn(_DRAWN).double()
        # A camera that would be in a wall moves into the room, and then may fit or not.
        position[:, :2] = torch.minimum(torch.maximum(position[:, :2], -half[:2]), half[:2])
        position[:, 2] = position[:, 2].clamp(0.3, 2.0 * float(half[2]))
    roll = 0.15 * dice.randn(_DRAWN).double()
    length = _MOVE_M[0] + (_MOVE_M[1] - _MOVE_M[0]) * dice.rand(_DRAWN, 1).double()
    move = torch.nn.functional.normalize(dice.randn(_DRAWN, 3).double(), dim=-1) * length
    turn = _TURN_RAD * (2.0 * dice.rand(3, _DRAWN).double() - 1.0)
    first = look_along(position, yaw, pitch, roll)
    second = look_along(position + move, yaw + turn[0], pitch + turn[1], roll + turn[2])
    return torch.stack([first, second], dim=1), at_thing


def _misfit(scene: Scene, poses: torch.Tensor, at_thing: torch.Tensor) -> torch.Tensor:
    """Return how far (N,) each camera (N, 4, 4) is from a good one; 0 for a good one.

    Args:
        at_thing: (N,) bool, whether the camera shall see more than the bare room.
    """
    centre = (_EDGE_PX - 1) / 2
    k = torch.tensor([[_FOCAL_PX, 0.0, centre], [0.0, _FOCAL_PX, centre], [0.0, 0.0, 1.0]])
    table = view_table([scene], poses)
    hits = cast(table, k.expand(len(poses), 3, 3), _EDGE_PX, _EDGE_PX)
    depth = hits.depth.cpu().flatten(1)
    bare = (table.kind[hits.row] == HULL).float().flatten(1).mean(1).cpu()
    median, least = depth.median(-1).values, depth.amin(-1)
    low, high = _CLOSE_M
    far = (median - high).clamp_min(0.0) + (low - median).clamp_min(0.0)
    empty = torch.where(at_thing, (bare - _BARE).clamp_min(0.0), torch.zeros(()))
    return far + empty + 10.0 * (_NEAREST_M - least).clamp_min(0.0) + _covered(scene, poses)


def _covered(scene: Scene, poses: torch.Tensor) -> torch.Tensor:
    """Return 1 for cameras (N, 4, 4) with something above them, 0 for the others."""
    place = poses[:, :3, 3].float()
    up = torch.tensor([0.0, 0.0, 1.0]).expand_as(place)
    reach = place[:, 2] + first_hit(scene, place, up.to(scene.device)).cpu()
    return (reach < 2.0 * float(scene.half[0, 2]) - _HANGING_M).float()
