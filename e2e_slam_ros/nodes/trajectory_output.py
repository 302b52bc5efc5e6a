"""The camera's pose at camera rate on TF, odometry and path."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.odometry_output import OdometryOutput, isotropic
from e2e_slam_ros.nodes.pose_messages import Matrix, pose_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from e2e_slam_ros.nodes.transform_output import TransformOutput

# rclpy needs tens of milliseconds for a path of 2000 poses, too long for camera rate.
_PATH_PERIOD_S = 1.0


class TrajectoryOutput:
    """Publishes the camera's pose. The executor thread owns it.

    Args:
        config: may be replaced by `reconfigure`.
        on_problem: called with a kind and a sentence.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        on_problem: Callable[[str, str], None] = lambda kind, sentence: None,
    ) -> None:
        self._config = config
        self._transforms = TransformOutput(node, config, on_problem)
        self._odometry = OdometryOutput(node, config)
        self._path = node.create_publisher(Path, "path", reliable(1))
        self._poses: deque[PoseStamped] = deque(maxlen=config.publish.path_length)
        self._changed = False
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PATH_PERIOD_S, self.publish_path, clock=steady)

    def reconfigure(self, config: Config) -> None:
        """Take live parameters that changed."""
        self._config = self._transforms.config = config

    def publish(
        self,
        stamp_ns: int,
        camera_frame: str,
        T_map_camera: Matrix,
        T_odom_camera: Matrix | None = None,
        covariance: Matrix | None = None,
        stated: tuple[float, float] | None = None,
    ) -> None:
        """Publish a frame's pose on TF and as odometry, and append it to the path.

        Args:
            stamp_ns: image time.
            camera_frame: TF frame of the camera.
            T_map_camera: (4, 4).
            T_odom_camera: (4, 4) the pose as it was given in the odometry frame; or None.
            covariance: (6, 6) of a pose that was found or refined, ``[rho, phi]`` in the camera.
            stated: standard deviations that came with a given pose, metres and radians.
        """
        self._transforms.publish(stamp_ns, camera_frame, T_map_camera, T_odom_camera)
        pose = self._config.pose
        motion = None
        if covariance is None or not np.isfinite(covariance).all():
            motion = pose.motion_sigma_m, float(np.radians(pose.motion_sigma_deg))
            usual = pose.sigma_m, float(np.radians(pose.sigma_deg))
            covariance = isotropic(stated or usual)
        self._odometry.publish(
            stamp_ns, camera_frame, T_map_camera, T_odom_camera, covariance, motion
        )
        stamp = ns_to_stamp(stamp_ns)
        self._poses.append(pose_message(T_map_camera, stamp, self._config.frames.map))
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
        """Forget the path, and how the map lies to the odometry."""
        self._poses.clear()
        self._changed = False
        self._transforms.clear()
        self._odometry.clear()
