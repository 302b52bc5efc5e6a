"""One rendered room as one file of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.training.data.config import ProceduralConfig
from e2e_slam_ros.training.data.rendered_file import RenderedFile, check_views

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


def _check(pair: RoomPair, config: ProceduralConfig) -> None:
    check_views(pair, (2, config.height, config.width))


# Files with other names of arrays would have to be rendered again.
ROOM_FILE: RenderedFile[RoomPair, ProceduralConfig] = RenderedFile(
    RoomPair,
    "room",
    "rooms 1",
    lambda config: config.pairs_per_room,
    _check,
    {"T_map_camera": "pose"},
)
