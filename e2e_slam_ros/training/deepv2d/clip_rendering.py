"""From a seed to the clips of one random room."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.raycast import cast, view_table
from e2e_slam_ros.simulation.renderer import Renderer
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.trajectory import MotionStyle, smooth_trajectory
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
from e2e_slam_ros.training.deepv2d.moving_boxes import MovingBoxes, draw_boxes, placed
from e2e_slam_ros.training.deepv2d.room_clip import CLIP_FILE, RoomClip

_RATE_HZ = 20.0
# Time between the beginnings of two clips, so that they show different parts of the room.
_BETWEEN_S = 4.0
# A number of the generator's streams that the scenes do not use.
_STREAM = 41
_MM_PER_M = 1000.0
_NEAREST_M, _FARTHEST_M = 0.1, 65.0


def render_clip_file(folder: Path, config: ClipConfig, seed: int) -> Path:
    """Render a room's clips into a file and return the file's path.

    Raises:
        DataError: the file cannot be written.
    """
    path = CLIP_FILE.path(folder, config, seed)
    CLIP_FILE.write(path, config, seed, render_clips(config, seed))
    return path


@torch.inference_mode()
def render_clips(config: ClipConfig, seed: int) -> list[RoomClip]:
    """Return the clips of room ``seed``, always the same ones.

    Each clip has its own field of view, interval between frames and tilt of the camera.
    """
    dice = Dice(seed, stream=_STREAM)
    scene = generate_scene(seed, "cpu", config.texture_size)
    walk = _walk(scene, config, seed)
    renderer = Renderer([scene])
    clips = []
    for index in range(config.clips_per_room):
        interval = dice.uniform(config.interval_min_s, config.interval_max_s)
        first = index * _BETWEEN_S * _RATE_HZ
        at = [round(first + i * interval * _RATE_HZ) for i in range(config.frames)]
        poses = walk[at].clone()
        poses[:, :3, :3] @= _extra_rotation(config, dice)
        clips.append(_clip(renderer, scene, config, poses, interval, dice))
    return clips


def _walk(scene: Scene, config: ClipConfig, seed: int) -> torch.Tensor:
    """Return T_map_camera (F, 4, 4) float64 of one walk at 20 Hz that holds all clips."""
    last = config.frames * config.interval_max_s + config.clips_per_room * _BETWEEN_S
    frames = math.ceil(last * _RATE_HZ) + 1
    style = MotionStyle()
    try:
        return smooth_trajectory(scene, frames, _RATE_HZ, seed, style)
    except DataError:  # a crowded room: closer to the furniture then
        style = replace(style, clearance_m=0.15)
        return smooth_trajectory(scene, frames, _RATE_HZ, seed, style)


def _extra_rotation(config: ClipConfig, dice: Dice) -> torch.Tensor:
    """Return (3, 3) float64: pitch, then roll, of the camera."""
    pitch = math.radians(dice.uniform(-config.extra_pitch_deg, config.extra_pitch_deg))
    roll = math.radians(dice.uniform(-config.extra_roll_deg, config.extra_roll_deg))
    turn = torch.zeros(2, 6, dtype=torch.float64)
    turn[0, 3], turn[1, 5] = pitch, roll
    parts = se3.exp(turn)
    return (parts[0] @ parts[1])[:3, :3]


def _intrinsics(config: ClipConfig, dice: Dice) -> torch.Tensor:
    """Return (3, 3) float64, square pixels, the centre in the middle."""
    fov = math.radians(dice.uniform(config.fov_min_deg, config.fov_max_deg))
    focal = 0.5 * config.width / math.tan(0.5 * fov)
    centre = ((config.width - 1) / 2, (config.height - 1) / 2)
    return torch.tensor(
        [[focal, 0.0, centre[0]], [0.0, focal, centre[1]], [0.0, 0.0, 1.0]], dtype=torch.float64
    )


def _clip(
    renderer: Renderer,
    scene: Scene,
    config: ClipConfig,
    poses: torch.Tensor,
    interval: float,
    dice: Dice,
) -> RoomClip:
    k = _intrinsics(config, dice)
    if config.moving:
        boxes = draw_boxes(scene, poses, k, config, interval, dice)
        images, depths, moving = _moving_views(scene, config, poses, k, boxes)
    else:
        views = renderer(poses, k.float()[None], config.height, config.width)
        images, depths = views.image, views.depth[:, 0]
        moving = torch.zeros_like(depths, dtype=torch.bool)
    millimetres = depths.clamp(_NEAREST_M, _FARTHEST_M).mul(_MM_PER_M).round().to(torch.int32)
    return RoomClip(
        images.mul(255.0).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy(),
        millimetres.numpy().astype(np.uint16),
        poses.numpy(),
        k.numpy(),
        moving.numpy(),
    )


def _moving_views(
    scene: Scene, config: ClipConfig, poses: torch.Tensor, k: torch.Tensor, boxes: MovingBoxes
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images (N, 3, H, W), depths (N, H, W) and the mask of what moves (N, H, W)."""
    images, depths, masks = [], [], []
    size = (config.height, config.width)
    for frame, pose in enumerate(poses):
        now = placed(scene, boxes, frame)
        views = Renderer([now])(pose[None], k.float()[None], *size)
        table = view_table([now], pose[None])
        row = cast(table, k.float()[None], *size).row[0]
        images.append(views.image[0])
        depths.append(views.depth[0, 0])
        masks.append(table.primitive[row] >= len(scene))
    return torch.stack(images), torch.stack(depths), torch.stack(masks)
