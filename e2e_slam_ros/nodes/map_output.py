"""The map as messages."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.cloud_messages import cloud_message
from e2e_slam_ros.nodes.map_topic import MapTopic
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp


class MapOutput(MapTopic):
    """Publishes ``cloud_map``, latched and thinned, and ``map/active``.

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
        super().__init__(node, PointCloud2, "cloud_map", config, surfels, lock, on_problem)
        self._active = node.create_publisher(PointCloud2, "map/active", reliable(1))

    def publish_active(self, keyframe: Keyframe) -> None:
        """Publish the part of the map in a keyframe's view. The caller must hold the lock."""
        if self._active.get_subscription_count() == 0:
            return
        index = self._surfels.active(keyframe.camera, keyframe.T_map_camera)
        limits = self.config.publish
        cloud = self._surfels.snapshot(limits.max_points, limits.min_confidence, index)
        self._active.publish(self._cloud(cloud, keyframe.stamp_ns))

    def _pause_s(self, took_s: float) -> float:
        return self.config.publish.period_s

    def _message(self) -> PointCloud2:
        limits = self.config.publish
        with self._lock:
            cloud = self._surfels.snapshot(limits.max_points, limits.min_confidence)
            stamp_ns = self._stamp_ns
        return self._cloud(cloud, stamp_ns)

    def _cloud(self, cloud: SurfelCloud, stamp_ns: int) -> PointCloud2:
        frame = self.config.frames.map
        return cloud_message(cloud.positions, cloud.colors, ns_to_stamp(stamp_ns), frame)
