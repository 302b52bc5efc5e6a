"""One rendered room as one file of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.training.data.config import ProceduralConfig
from e2e_slam_ros.training.data.rendered_file import RenderedFile

DEPTH_UNIT_M = 0.001
NEAREST_M, FARTHEST_M = 0.1, 65.0


@dataclass(frozen=True, eq=False)
class RoomPair:
    """Two views of a room, as stored.

    Attributes:
        image: (2, H, W, 3) uint8, RGB.
        depth: (2, H, W) uint16, millimetres.
        T_map_camera: (2, 4, 4) float64.
        intrinsics: (3, 3) float64.

    >>> image, depth = np.zeros((2, 6, 8, 3), np.uint8), np.full((2, 6, 8), 2000, np.uint16)
    >>> pair = RoomPair(image, depth, np.tile(np.eye(4), (2, 1, 1)), np.eye(3))
    >>> float(pair.depth[0, 0, 0]) * DEPTH_UNIT_M
    2.0
    """

    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint16]
    T_map_camera: npt.NDArray[np.float64]
    intrinsics: npt.NDArray[np.float64]


# Files of other names of arrays would have to be rendered again.
_FILE = RenderedFile(RoomPair, "room", "rooms 1", {"T_map_camera": "pose"})


def room_path(folder: Path, config: ProceduralConfig, seed: int) -> Path:
    """Return where a room is kept: rooms of other configurations have other names."""
    return _FILE.path(folder, config, seed)


def write_room(path: Path, config: ProceduralConfig, seed: int, pairs: list[RoomPair]) -> None:
    """Write a room, all of it or nothing.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    _FILE.write(path, config, seed, pairs)


def read_pair(path: Path, config: ProceduralConfig, seed: int, index: int) -> RoomPair:
    """Return one pair of a room; only its part of the file is read.

    Raises:
        TrainingError: missing, damaged, or of another configuration or seed.
    """
    return _FILE.read(path, config, seed, index, lambda pair: _check_shapes(pair, config))


def is_complete(path: Path, config: ProceduralConfig, seed: int) -> bool:
    """Return whether a file looks like that room; its pictures are checked when they are read."""
    return _FILE.is_complete(path, config, seed, config.pairs_per_room)


def _check_shapes(pair: RoomPair, config: ProceduralConfig) -> None:
    size = (2, config.height, config.width)
    right = (
        pair.image.shape == (*size, 3)
        and pair.image.dtype == np.uint8
        and pair.depth.shape == size
        and pair.depth.dtype == np.uint16
        and pair.T_map_camera.shape == (2, 4, 4)
        and pair.intrinsics.shape == (3, 3)
        and bool(np.isfinite(pair.T_map_camera).all())
    )
    if not right:
        raise ValueError(f"arrays {pair.image.shape} {pair.depth.shape}")
