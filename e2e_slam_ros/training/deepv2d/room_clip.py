"""Rendered clips of one room as one file of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.training.data.rendered_file import RenderedFile
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


_FILE = RenderedFile(RoomClip, "clips", "clips 1")


def clip_path(folder: Path, config: ClipConfig, seed: int) -> Path:
    """Return where a room's clips are kept: those of other configurations have other names."""
    return _FILE.path(folder, config, seed)


def write_clips(path: Path, config: ClipConfig, seed: int, clips: list[RoomClip]) -> None:
    """Write a room's clips, all of them or nothing.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    _FILE.write(path, config, seed, clips)


def read_clip(path: Path, config: ClipConfig, seed: int, index: int) -> RoomClip:
    """Return one clip of a room; only its part of the file is read.

    Raises:
        TrainingError: missing, damaged, or of another configuration or seed.
    """
    return _FILE.read(path, config, seed, index, lambda clip: _check_shapes(clip, config))


def is_complete(path: Path, config: ClipConfig, seed: int) -> bool:
    """Return whether a file looks like that room; its pictures are checked when they are read."""
    return _FILE.is_complete(path, config, seed, config.clips_per_room)


def _check_shapes(clip: RoomClip, config: ClipConfig) -> None:
    size = (config.frames, config.height, config.width)
    right = (
        clip.image.shape == (*size, 3)
        and clip.image.dtype == np.uint8
        and clip.depth.shape == size
        and clip.depth.dtype == np.uint16
        and clip.moving.shape == size
        and clip.T_map_camera.shape == (config.frames, 4, 4)
        and clip.intrinsics.shape == (3, 3)
        and bool(np.isfinite(clip.T_map_camera).all())
    )
    if not right:
        raise ValueError(f"arrays {clip.image.shape} {clip.depth.shape}")
