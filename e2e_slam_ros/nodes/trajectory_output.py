"""The camera's pose at camera rate on TF, odometry and path."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from tf2_ros import TransformBroadcaster

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.pose_messages import odometry_message, pose_message, transform_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp

# rclpy needs tens of milliseconds for a path of 2000 poses, too long for camera rate.
_PATH_PERIOD_S = 1.0


class TrajectoryOutput:
    """Publishes the camera's pose. The executor thread owns it.

    With a pose topic in the map, or poses from the images, TF gets ``map -> camera``. With
    odometry or TF as pose source, the robot's own tree already connects ``odom`` to the camera,
    and a second parent would break the tree. TF then gets ``map -> odom``. It is the identity as
    long as nothing corrects the odometry. With a pose topic in ``odom`` TF gets ``map -> odom``
    and, as it was given, ``odom -> camera``. Odometry given in the map comes with somebody else's
    ``map -> odom``: TF then gets nothing.
    """

    def __init__(self, node: Node, config: Config) -> None:
        self.config = config
        self._broadcaster = TransformBroadcaster(node)
        self._odometry = node.create_publisher(Odometry, "odometry", reliable())
        self._path = node.create_publisher(Path, "path", reliable(1))
        self._poses: deque[PoseStamped] = deque(maxlen=config.publish.path_length)
        self._changed = False
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PATH_PERIOD_S, self.publish_path, clock=steady)

    def publish(
        self,
        stamp_ns: int,
        camera_frame: str,
        T_map_camera: npt.NDArray[np.float64],
        T_odom_camera: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Publish a frame's pose on TF and as odometry, and append it to the path.

        Args:
            stamp_ns: image time.
            camera_frame: TF frame of the camera.
            T_map_camera: (4, 4).
            T_odom_camera: (4, 4) the pose as it was given in the odometry frame; or None.
        """
        frames, stamp = self.config.frames, ns_to_stamp(stamp_ns)
        if self.config.publish.tf:
            messages = []
            # The robot's own tree holds the camera where odometry or TF gives its pose.
            source, prior = self.config.pose.source, self.config.tracking.prior
            alone = source == "topic" or (source == "visual" and prior == "none")
            if T_odom_camera is not None:
                T_map_odom = np.eye(4)
                if not np.array_equal(T_map_camera, T_odom_camera):
                    T_map_odom = T_map_camera @ np.linalg.inv(T_odom_camera)
                messages.append(transform_message(T_map_odom, stamp, frames.map, frames.odom))
                if alone:
                    messages.append(
                        transform_message(T_odom_camera, stamp, frames.odom, camera_frame)
                    )
            elif alone:
                messages.append(transform_message(T_map_camera, stamp, frames.map, camera_frame))
            if messages:
                self._broadcaster.sendTransform(messages)
        self._odometry.publish(odometry_message(T_map_camera, stamp, frames.map, camera_frame))
        self._poses.append(pose_message(T_map_camera, stamp, frames.map))
        self._changed = True

    def publish_path(self) -> None:
        """Publish the path if it grew and the topic has a subscriber."""
        if not self._changed or self._path.get_subscription_count() == 0:
            return
        msg = Path(poses=list(self._poses))
        msg.header = self._poses[-1].header
        self._path.publish(msg)
        self._changed = False

    def clear(self) -> None:
        """Forget the path."""
        self._poses.clear()
        self._changed = False
