"""The map as messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.cloud_messages import cloud_message
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.qos import latched, reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from e2e_slam_ros.slam.worker import KeyframeWorker

_CHECK_PERIOD_S = 0.1


class MapOutput:
    """Publishes ``cloud_map`` and ``map/active``.

    The first is latched and thinned. A message goes out when the map has changed and the topic
    has a subscriber. A thread of its own takes the snapshot of the map. It may wait until the
    fusion of a keyframe ends, and the executor must not wait for that.

    Args:
        config: ``publish.*`` and frame names; may be replaced while running.
        lock: held by every reader and writer of ``surfels``.
        on_problem: called with (kind, error) from any thread.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        surfels: SurfelMap,
        lock: threading.Lock,
        on_problem: Callable[[str, Exception | str], None],
    ) -> None:
        self.config = config
        self._node = node
        self._surfels = surfels
        self._lock = lock
        self._map = node.create_publisher(PointCloud2, "cloud_map", latched())
        self._active = node.create_publisher(PointCloud2, "map/active", reliable(1))
        self._changes = self._published = 0
        self._stamp_ns = 0
        self._last_s = -1e9
        self._worker: KeyframeWorker[int] = KeyframeWorker(
            self._publish_map, False, lambda _, error: on_problem("publish", error)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_CHECK_PERIOD_S, self.check, clock=steady)

    def changed(self, stamp_ns: int | None = None) -> None:
        """Record that the map changed, by the keyframe with that stamp or otherwise."""
        if stamp_ns is not None:
            self._stamp_ns = stamp_ns
        self._changes += 1

    def publish_active(self, keyframe: Keyframe) -> None:
        """Publish the part of the map in a keyframe's view. The caller must hold the lock."""
        if self._active.get_subscription_count() == 0:
            return
        index = self._surfels.active(keyframe.camera, keyframe.T_map_camera)
        limits = self.config.publish
        cloud = self._surfels.snapshot(limits.max_points, limits.min_confidence, index)
        self._active.publish(self._message(cloud, keyframe.stamp_ns))

    def close(self) -> None:
        """End the thread."""
        self._worker.stop()

    def check(self) -> None:
        """Start publishing the map if it is due.

        It runs in the executor thread and takes microseconds.
        """
        due = time.monotonic() - self._last_s >= self.config.publish.period_s
        idle = self._worker.pending == 0
        if due and idle and self._changes != self._published:
            if is_active(self._node) and self._map.get_subscription_count() > 0:
                self._worker.submit(self._changes)

    def _publish_map(self, changes: int) -> None:
        limits = self.config.publish
        with self._lock:
            cloud = self._surfels.snapshot(limits.max_points, limits.min_confidence)
            stamp_ns = self._stamp_ns
        self._last_s = time.monotonic()
        self._map.publish(self._message(cloud, stamp_ns))
        self._published = changes

    def _message(self, cloud: SurfelCloud, stamp_ns: int) -> PointCloud2:
        frame = self.config.frames.map
        return cloud_message(cloud.positions, cloud.colors, ns_to_stamp(stamp_ns), frame)
