"""The 2-D occupancy grid as a message, for planners."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import torch
from geometry_msgs.msg import Point, Pose, Quaternion
from nav_msgs.msg import MapMetaData, OccupancyGrid
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from e2e_slam_ros.config import Config
from e2e_slam_ros.mapping.occupancy_grid import NavigationGrid, occupancy_grid
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.qos import latched
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from e2e_slam_ros.slam.worker import KeyframeWorker

_CHECK_PERIOD_S = 0.2
# Surfels that the grid is made of, evenly thinned: a second of one core for twice as many.
_MOST_SURFELS = 250_000
# The grid takes no more than this share of the time.
_SHARE = 0.1


class GridOutput:
    """Publishes ``grid``, latched: when the map has changed and the topic has a subscriber.

    A thread of its own makes the grid. A grid that takes long is made less often.

    Args:
        config: ``grid.*`` and frame names; may be replaced.
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
        self.config = config
        self._node = node
        self._surfels = surfels
        self._lock = lock
        self._poses = poses
        self._publisher = node.create_publisher(OccupancyGrid, "grid", latched())
        self._changes = self._published = 0
        self._stamp_ns = 0
        self._due_s = 0.0
        self._worker: KeyframeWorker[int] = KeyframeWorker(
            self._publish, False, lambda _, error: on_problem("publish", error)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_CHECK_PERIOD_S, self.check, clock=steady)

    def changed(self, stamp_ns: int | None = None) -> None:
        """Record that the map changed, by the keyframe with that stamp or otherwise."""
        if stamp_ns is not None:
            self._stamp_ns = stamp_ns
        self._changes += 1

    def close(self) -> None:
        """End the thread."""
        self._worker.stop()

    def check(self) -> None:
        """Start making the grid if it is due (executor thread, microseconds)."""
        idle = self._worker.pending == 0 and time.monotonic() >= self._due_s
        if idle and self._changes != self._published:
            if is_active(self._node) and self._publisher.get_subscription_count() > 0:
                self._worker.submit(self._changes)

    def _publish(self, changes: int) -> None:
        begun = time.monotonic()
        try:
            with self._lock:
                config, stamp_ns = self.config, self._stamp_ns
                surfels = self._surfels.thinned(_MOST_SURFELS, config.grid.min_confidence)
                centres = _centres(self._poses())
            grid = occupancy_grid(
                surfels.positions, surfels.normals, surfels.keyframe, centres, config.grid
            )
            header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=config.frames.map)
            self._publisher.publish(grid_message(grid, header))
            self._published = changes
        finally:
            now = time.monotonic()
            self._due_s = begun + max(self.config.grid.period_s, (now - begun) / _SHARE)


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
