"""Where a frame's pose comes from: a pose topic, odometry, or TF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.time import Time as RclpyTime

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.nodes.pose_buffer import PoseBuffer
from e2e_slam_ros.nodes.pose_messages import pose_to_matrix, transform_to_matrix
from e2e_slam_ros.nodes.qos import small_subscription
from e2e_slam_ros.nodes.stamps import stamp_to_ns

Matrix = npt.NDArray[np.float64]
Notify = Callable[[], None]


class PoseSource(Protocol):
    """Answers with the camera's pose at an image stamp."""

    wanted: str

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return ``T_map_camera``; None: not there (yet); `PoseError`: there but unusable."""
        ...

    def passed(self, stamp_ns: int) -> bool:
        """Return whether waiting for that stamp is in vain."""
        ...

    def restart(self, stamp_ns: int) -> None:
        """Learn that stamps start again from here."""
        ...

    def reconfigure(self, config: Config) -> None:
        """Take ``pose.tolerance_s`` as it is now."""
        ...

    def clear(self) -> None:
        """Forget what was received."""
        ...


class TopicPoses:
    """PoseStamped of the camera in the map frame on ``camera/pose``."""

    def __init__(self, node: Node, config: Config, notify: Notify) -> None:
        self.wanted = f"a PoseStamped on {node.resolve_topic_name('camera/pose')}"
        self._notify = notify
        self.reconfigure(config)
        self._buffer = PoseBuffer()
        self._subscription = node.create_subscription(
            PoseStamped, "camera/pose", self._receive, small_subscription(config.runtime)
        )

    def _receive(self, msg: PoseStamped) -> None:
        self._buffer.add(stamp_to_ns(msg.header.stamp), _matrix_or_error(msg.pose))
        self._notify()

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return the pose at the stamp, interpolated between two within the tolerance."""
        return self._buffer.at(stamp_ns, self._tolerance_ns, last_chance)

    def passed(self, stamp_ns: int) -> bool:
        """Return whether a later pose has arrived."""
        return self._buffer.passed(stamp_ns)

    def restart(self, stamp_ns: int) -> None:
        """Forget what lies in the future now."""
        self._buffer.restart(stamp_ns)

    def reconfigure(self, config: Config) -> None:
        """Take ``pose.tolerance_s`` as it is now."""
        self._tolerance_ns = round(config.pose.tolerance_s * 1e9)

    def clear(self) -> None:
        """Forget the poses."""
        self._buffer.clear()


class TfLookup:
    """Fixed and moving transforms from TF."""

    def __init__(self, node: Node) -> None:
        import tf2_ros

        self._failure = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def matrix(self, target: str, source: str, stamp_ns: int) -> Matrix | None:
        """Return ``T_target_source`` at a stamp (0: the latest), or None."""
        try:
            msg: Any = self._buffer.lookup_transform(
                target, source, RclpyTime(nanoseconds=stamp_ns)
            )
        except self._failure:
            return None
        return transform_to_matrix(msg.transform)

    def clear(self) -> None:
        """Forget the moving transforms."""
        self._buffer.clear()


class OdometryPoses:
    """Odometry of the robot's base on ``odom``, and base to camera from TF."""

    def __init__(self, node: Node, config: Config, notify: Notify) -> None:
        self.wanted = (
            f"Odometry on {node.resolve_topic_name('odom')} and a transform from its child frame "
            "to the camera on TF"
        )
        self._notify = notify
        self.reconfigure(config)
        self._base = config.frames.base
        self._buffer = PoseBuffer()
        self._tf = TfLookup(node)
        self._subscription = node.create_subscription(
            Odometry, "odom", self._receive, small_subscription(config.runtime)
        )

    def _receive(self, msg: Odometry) -> None:
        self._base = msg.child_frame_id or self._base
        self._buffer.add(stamp_to_ns(msg.header.stamp), _matrix_or_error(msg.pose.pose))
        self._notify()

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return odometry at the stamp times base to camera (``map -> odom`` is identity)."""
        T_odom_base = self._buffer.at(stamp_ns, self._tolerance_ns, last_chance)
        if T_odom_base is None or self._base == camera_frame:
            return T_odom_base
        # The camera is mounted once: the latest transform serves every stamp.
        T_base_camera = self._tf.matrix(self._base, camera_frame, 0)
        return None if T_base_camera is None else T_odom_base @ T_base_camera

    def passed(self, stamp_ns: int) -> bool:
        """Return false: the mount may still arrive on TF until patience ends."""
        return False

    def restart(self, stamp_ns: int) -> None:
        """Forget what lies in the future now."""
        self._buffer.restart(stamp_ns)

    def reconfigure(self, config: Config) -> None:
        """Take ``pose.tolerance_s`` as it is now."""
        self._tolerance_ns = round(config.pose.tolerance_s * 1e9)

    def clear(self) -> None:
        """Forget the odometry."""
        self._buffer.clear()


class TfPoses:
    """``odom -> camera`` looked up on TF at the image stamp."""

    def __init__(self, node: Node, config: Config, notify: Notify) -> None:
        self._odom = config.frames.odom
        self.wanted = f"a transform from {self._odom} to the camera on TF at the image stamp"
        self._tf = TfLookup(node)

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return the transform at the stamp (``map -> odom`` is identity)."""
        return self._tf.matrix(self._odom, camera_frame, stamp_ns)

    def passed(self, stamp_ns: int) -> bool:
        """Return false: TF tells no reason, so patience decides."""
        return False

    def reconfigure(self, config: Config) -> None:
        """Change nothing: TF interpolates between the transforms it has, whatever is between."""

    def restart(self, stamp_ns: int) -> None:
        """Forget the transforms: those of the last round lie in the future now."""
        self._tf.clear()

    def clear(self) -> None:
        """Forget the moving transforms."""
        self._tf.clear()


def make_pose_source(node: Node, config: Config, notify: Notify) -> PoseSource:
    """Return what ``pose.source`` names; ``notify`` is called when a pose arrives."""
    if config.pose.source == "odometry":
        return OdometryPoses(node, config, notify)
    if config.pose.source == "tf":
        return TfPoses(node, config, notify)
    return TopicPoses(node, config, notify)


def _matrix_or_error(pose: Any) -> Matrix | PoseError:
    try:
        return pose_to_matrix(pose)
    except PoseError as error:
        return error
