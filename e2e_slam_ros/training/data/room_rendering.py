"""From a seed to the pairs of views of one random room."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.simulation.close_views import close_pairs
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.furnished_rooms import generate_furnished_scene
from e2e_slam_ros.simulation.furniture_file import load_furniture
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.renderer import RenderedViews, render
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.trajectory import MotionStyle, smooth_trajectory
from e2e_slam_ros.training.data.config import ProceduralConfig
from e2e_slam_ros.training.data.room_file import (
    DEPTH_UNIT_M,
    FARTHEST_M,
    NEAREST_M,
    ROOM_FILE,
    RoomPair,
)

# Time between pairs, so that they show different parts of the room.
_BETWEEN_PAIRS_S = 4.0
# Numbers of the generator's streams that the scenes do not use.
_STREAM, _FURNITURE_STREAM = 40, 41


def render_room_file(
    folder: Path, config: ProceduralConfig, seed: int, device: torch.device | str = "cpu"
) -> Path:
    """Render a room into its file and return the file's path.

    Raises:
        DataError: the file cannot be written.
    """
    path = ROOM_FILE.path(folder, config, seed)
    ROOM_FILE.write(path, config, seed, render_room(config, seed, device))
    return path


@torch.inference_mode()
def render_room(
    config: ProceduralConfig, seed: int, device: torch.device | str = "cpu"
) -> list[RoomPair]:
    """Return the pairs of views of room ``seed``; on a CPU always the same ones.

    Each pair is a camera's view and the one ``pair_interval_s`` later, both turned by the same
    random rotation; every pair has its own field of view. Pairs close to things are not turned.

    Raises:
        DataError: the archive of furniture is missing or damaged.
    """
    dice = Dice(seed, stream=_STREAM)
    scene, close = _room(config, seed, device)
    count = config.pairs_per_room
    # Cameras are placed on the CPU: many small steps, each decided by the one before.
    plan = scene.to("cpu")
    T_map_camera = _poses(plan, config, seed)
    T_map_camera[:, :, :3, :3] @= _extra_rotation(config, dice, count)[:, None]
    if close:
        T_map_camera[count - close :] = close_pairs(plan, close, seed)
    intrinsics = _intrinsics(config, dice, count)
    views = render(
        [scene],
        T_map_camera.flatten(0, 1),
        intrinsics.float().repeat_interleave(2, 0),
        config.height,
        config.width,
    )
    image, depth = _stored(views, config)
    return [
        RoomPair(image[i], depth[i], T_map_camera[i].numpy(), intrinsics[i].numpy())
        for i in range(count)
    ]


def _room(config: ProceduralConfig, seed: int, device: torch.device | str) -> tuple[Scene, int]:
    """Return a room and how many of its pairs look at things from near by."""
    chosen = Dice(seed, stream=_FURNITURE_STREAM)
    if not config.furniture or not chosen.chance(config.furnished_share):
        return generate_scene(seed, device, config.texture_size), 0
    library = load_furniture(config.furniture)
    scene = generate_furnished_scene(seed, library, device, config.texture_size)
    # Rounded up or down at random, so that few pairs a room keep the share too.
    wanted = config.close_share * config.pairs_per_room
    return scene, min(int(wanted + chosen.uniform(0.0, 1.0)), config.pairs_per_room)


def _poses(scene: Scene, config: ProceduralConfig, seed: int) -> torch.Tensor:
    """Return T_map_camera (P, 2, 4, 4) float64 of pairs along one walk."""
    interval = config.pair_interval_s
    apart = max(2, math.ceil(_BETWEEN_PAIRS_S / interval))
    first = torch.arange(config.pairs_per_room) * apart
    frames = int(first[-1]) + 2
    style = MotionStyle()
    try:
        path = smooth_trajectory(scene, frames, 1.0 / interval, seed, style)
    except DataError:
        # A crowded room: closer to the furniture then.
        style = replace(style, clearance_m=0.15)
        path = smooth_trajectory(scene, frames, 1.0 / interval, seed, style)
    return torch.stack([path[first], path[first + 1]], dim=1)


def _extra_rotation(config: ProceduralConfig, dice: Dice, count: int) -> torch.Tensor:
    """Return (P, 3, 3) float64 rotations of the camera: x right, y down, z forward."""
    most = [config.extra_pitch_deg, config.extra_yaw_deg, config.extra_roll_deg]
    angle = (2.0 * dice.rand(count, 3).double() - 1.0) * torch.deg2rad(torch.tensor(most))
    pitch, yaw, roll = torch.diag_embed(angle).unbind(1)
    parts = [se3.exp(torch.cat([torch.zeros_like(v), v], -1)) for v in (pitch, yaw, roll)]
    return (parts[0] @ parts[1] @ parts[2])[:, :3, :3]


def _intrinsics(config: ProceduralConfig, dice: Dice, count: int) -> torch.Tensor:
    """Return (P, 3, 3) float64, square pixels, the centre in the middle."""
    low, high = math.radians(config.fov_min_deg), math.radians(config.fov_max_deg)
    focal = 0.5 * config.width / torch.tan(0.5 * (low + (high - low) * dice.rand(count).double()))
    matrix = torch.zeros(count, 3, 3, dtype=torch.float64)
    matrix[:, 0, 0] = matrix[:, 1, 1] = focal
    matrix[:, 0, 2], matrix[:, 1, 2] = (config.width - 1) / 2, (config.height - 1) / 2
    matrix[:, 2, 2] = 1.0
    return matrix


def _stored(
    views: RenderedViews, config: ProceduralConfig
) -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    np.ndarray[tuple[int, ...], np.dtype[np.uint16]],
]:
    """Return images (P, 2, H, W, 3) uint8 and depths (P, 2, H, W) uint16, millimetres."""
    shape = (config.pairs_per_room, 2, config.height, config.width)
    image = views.image.mul(255.0).round().to(torch.uint8).permute(0, 2, 3, 1)
    depth = views.depth.clamp(NEAREST_M, FARTHEST_M).div(DEPTH_UNIT_M).round()
    # Through int32: not every release of torch knows uint16.
    millimetres = depth.to(torch.int32).cpu().numpy().astype(np.uint16)
    return image.reshape(*shape, 3).cpu().numpy(), millimetres.reshape(shape)
