"""Rendered clips of one room as one file of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.training.data.rendered_file import RenderedFile, check_views
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig


@dataclass(frozen=True, eq=False)
class RoomClip:
    """N frames of a room, as stored.

    Attributes:
        image: (N, H, W, 3) uint8, RGB.
        depth: (N, H, W) uint16, millimetres.
        T_map_camera: (N, 4, 4) float64.
        intrinsics: (3, 3) float64.
        moving: (N, H, W) bool, the pixel shows something that moves in the room.

    >>> image, depth = np.zeros((2, 6, 8, 3), np.uint8), np.full((2, 6, 8), 2000, np.uint16)
    >>> poses = np.tile(np.eye(4), (2, 1, 1))
    >>> RoomClip(image, depth, poses, np.eye(3), depth > 9000).moving.any()
    np.False_
    """

    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint16]
    T_map_camera: npt.NDArray[np.float64]
    intrinsics: npt.NDArray[np.float64]
    moving: npt.NDArray[np.bool_]


def _check(clip: RoomClip, config: ClipConfig) -> None:
    size = (config.frames, config.height, config.width)
    check_views(clip, size)
    if clip.moving.shape != size:
        raise ValueError(f"array {clip.moving.shape}")


CLIP_FILE: RenderedFile[RoomClip, ClipConfig] = RenderedFile(
    RoomClip, "clips", "clips 1", lambda config: config.clips_per_room, _check
)
