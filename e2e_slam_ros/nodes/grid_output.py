"""The 2-D occupancy grid as a message, for planners."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import torch
from geometry_msgs.msg import Point, Pose, Quaternion
from nav_msgs.msg import MapMetaData, OccupancyGrid
from rclpy.node import Node
from std_msgs.msg import Header

from e2e_slam_ros.config import Config
from e2e_slam_ros.mapping.occupancy_grid import NavigationGrid, occupancy_grid
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.map_topic import MapTopic
from e2e_slam_ros.nodes.stamps import ns_to_stamp

# Surfels that the grid is made of, evenly thinned: a second of one core for twice as many.
_MOST_SURFELS = 250_000
# The grid takes no more than this share of the time.
_SHARE = 0.1


class GridOutput(MapTopic):
    """Publishes ``grid``, latched. A grid that takes long is made less often.

    Args:
        config: ``grid.*`` and frame names; may be replaced while running.
        lock: held by every reader and writer of ``surfels``.
        poses: returns keyframe number -> T_map_camera (4, 4); called with the lock held.
        on_problem: called with (kind, error) from any thread.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        surfels: SurfelMap,
        lock: threading.Lock,
        poses: Callable[[], Mapping[int, torch.Tensor]],
        on_problem: Callable[[str, Exception | str], None],
    ) -> None:
        super().__init__(node, OccupancyGrid, "grid", config, surfels, lock, on_problem)
        self._poses = poses

    def _pause_s(self, took_s: float) -> float:
        return max(self.config.grid.period_s, took_s / _SHARE)

    def _message(self) -> OccupancyGrid:
        with self._lock:
            config, stamp_ns = self.config, self._stamp_ns
            surfels = self._surfels.thinned(_MOST_SURFELS, config.grid.min_confidence)
            centres = _centres(self._poses())
        grid = occupancy_grid(
            surfels.positions, surfels.normals, surfels.keyframe, centres, config.grid
        )
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=config.frames.map)
        return grid_message(grid, header)


def grid_message(grid: NavigationGrid | None, header: Header) -> OccupancyGrid:
    """Return a grid as a message; one of no cells for a map of no surfels."""
    msg = OccupancyGrid(header=header)
    if grid is None:
        return msg
    rows, columns = grid.cells.shape
    x, y = grid.origin
    msg.info = MapMetaData(
        map_load_time=header.stamp,
        resolution=grid.resolution_m,
        width=columns,
        height=rows,
        origin=Pose(
            position=Point(x=x, y=y, z=grid.floor_m),
            orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=1.0),
        ),
    )
    # rclpy copies an array of this type; a list takes a hundred times as long.
    msg.data.frombytes(grid.cells.tobytes())
    return msg


def _centres(poses: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """Return (K, 3) camera centres by keyframe number; NaN where they are unknown."""
    centres = torch.full((max(poses, default=-1) + 1, 3), torch.nan)
    for number, pose in poses.items():
        centres[number] = pose[:3, 3].float()
    return centres
