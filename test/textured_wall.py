"""A camera that moves sideways along a wall whose pattern stays where it is."""

from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.data.frame import Frame
from synthetic import CAMERA, pose, wall_depth

WALL_M = 2.0


def textured_frames(count: int, step_m: float = 0.1) -> list[Frame]:
    """Frames of 64x48, 2 m in front of the wall, ``step_m`` apart, ten a second."""
    return [_frame(index, index * step_m) for index in range(count)]


def _frame(index: int, x_m: float) -> Frame:
    v, u = np.meshgrid(np.arange(48.0), np.arange(64.0), indexing="ij")
    x = (u - CAMERA.cx) / CAMERA.fx * WALL_M + x_m
    y = (v - CAMERA.cy) / CAMERA.fy * WALL_M
    waves = [np.sin(7 * x + 3 * y), np.sin(11 * x - 6 * y + 1), np.sin(4 * x + 9 * y + 2)]
    grey = 0.5 + 0.15 * np.stack([waves[0] + waves[1], waves[1] + waves[2], waves[2]], -1)
    T: torch.Tensor = pose(x=x_m)
    return Frame(
        index=index,
        stamp_ns=(10 + index) * 100_000_000,
        image=np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8),
        camera=CAMERA,
        depth=wall_depth(T)[0, 0].numpy(),
        T_map_camera=T.numpy(),
    )
