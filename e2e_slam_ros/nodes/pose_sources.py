"""Sources of a frame's pose: a pose topic, odometry, or TF."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.nodes.live_transforms import LiveTransforms, live_transforms
from e2e_slam_ros.nodes.pose_buffer import PoseBuffer
from e2e_slam_ros.nodes.pose_messages import (
    covariance_to_sigma,
    pose_to_matrix,
)
from e2e_slam_ros.nodes.qos import small_subscription
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.nodes.whole_queue import subscribe_whole_queue

Matrix = npt.NDArray[np.float64]
Notify = Callable[[], None]


class PoseSource(ABC):
    """A pose source. It returns the camera's pose at an image stamp.

    Attributes:
        wanted: what it listens for, in words.
        required: a frame without a pose is refused.
        in_odom: the poses are those of the odometry frame; else of the map.
        sigma: stated uncertainty of the newest pose, metres and radians; or None.
    """

    wanted: str
    required = True
    in_odom = False
    sigma: tuple[float, float] | None = None

    @abstractmethod
    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return ``T_map_camera``, or None if it has not arrived.

        Raises:
            PoseError: the pose has arrived but cannot be used.
        """

    def passed(self, stamp_ns: int) -> bool:
        """Return whether waiting for that stamp is useless. False: patience decides."""
        return False

    def reconfigure(self, config: Config) -> None:
        """Apply the current ``pose.tolerance_s``, where there is a tolerance."""
        del config

    def restart(self, stamp_ns: int) -> None:
        """Handle a jump back in time: poses of the last round now lie in the future."""
        self.clear()

    @abstractmethod
    def clear(self) -> None:
        """Forget all received poses."""


class ImagePoses(PoseSource):
    """No poses from outside: a tracker finds them from the images."""

    required = False
    wanted = "none"

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return None."""
        return None

    def passed(self, stamp_ns: int) -> bool:
        """Return True: there is nothing to wait for."""
        return True

    def clear(self) -> None:
        """Nothing to forget."""


class TopicPoses(PoseSource):
    """Poses of the camera from PoseStamped on ``camera/pose``.

    They are also taken from PoseWithCovarianceStamped on ``camera/pose_with_covariance``. Poses
    in the map or in the odometry frame are used as they are; those in another frame need a
    transform from it to the map on TF.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        notify: Notify,
        kind: type[PoseStamped | Odometry] = PoseStamped,
        topic: str = "camera/pose",
    ) -> None:
        self.wanted = f"{kind.__name__} on {node.resolve_topic_name(topic)}"
        self._topic = node.resolve_topic_name(topic)
        self._notify = notify
        self._node = node
        self._frames = config.frames
        # The frame that poses without a frame id are in.
        self._usual = config.frames.map if kind is PoseStamped else config.frames.odom
        self._frame = self._usual
        self._foreign: LiveTransforms | None = None
        self.reconfigure(config)
        self._buffer = PoseBuffer()
        qos = small_subscription(config.runtime)
        self._subscriptions = [subscribe_whole_queue(node, kind, topic, self._receive, qos)]
        if kind is PoseStamped:
            self._subscriptions.append(
                subscribe_whole_queue(
                    node,
                    PoseWithCovarianceStamped,
                    f"{topic}_with_covariance",
                    self._receive_with_covariance,
                    qos,
                )
            )

    def _receive(self, msg: Any) -> None:
        self._add(msg, msg.pose)

    def _receive_with_covariance(self, msg: Any) -> None:
        self.sigma = covariance_to_sigma(msg.pose.covariance)
        self._add(msg, msg.pose.pose)

    def _add(self, msg: Any, pose: Pose) -> None:
        frame = msg.header.frame_id.lstrip("/") or self._usual
        if frame != self._frame:
            # Poses of two frames must not be interpolated between.
            self._buffer.clear()
            self._frame = frame
        try:
            matrix: Matrix | PoseError = pose_to_matrix(pose)
        except PoseError as error:
            matrix = error
        self._buffer.put(stamp_to_ns(msg.header.stamp), matrix)
        self._notify()

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return the pose at the stamp, interpolated between two poses within the tolerance.

        Raises:
            PoseError: it is in a frame that has nothing to do with the map.
        """
        found = self._buffer.at(stamp_ns, self._tolerance_ns, last_chance)
        self.in_odom = self._frame == self._frames.odom
        if found is None or self._frame in (self._frames.map, self._frames.odom):
            return found
        return self._from_elsewhere(found, last_chance)

    def _from_elsewhere(self, T_frame_x: Matrix, last_chance: bool) -> Matrix | None:
        """Return a pose of another frame in the usual one; None while TF may still come."""
        if self._foreign is None:
            self._foreign = live_transforms(self._node)
        self.in_odom = self._usual == self._frames.odom
        T_usual_frame = self._foreign.matrix(self._usual, self._frame, 0)
        if T_usual_frame is not None:
            return T_usual_frame @ T_frame_x
        if last_chance:
            raise PoseError.from_parts(
                f"frame of the poses on {self._topic}",
                f"{self._frame!r}, which TF does not connect with {self._usual!r}",
                f"{self._frames.map!r}, {self._frames.odom!r}, or a frame with a transform",
                f"publish that transform, or set frames.{'odom' if self.in_odom else 'map'}",
            )
        return None

    def passed(self, stamp_ns: int) -> bool:
        """Return whether a later pose has arrived."""
        return self._buffer.passed(stamp_ns)

    def restart(self, stamp_ns: int) -> None:
        """Forget the poses of the round before the jump, which now lie in the future."""
        self._buffer.restart(stamp_ns)

    def reconfigure(self, config: Config) -> None:
        """Apply the current ``pose.tolerance_s``."""
        self._tolerance_ns = round(config.pose.tolerance_s * 1e9)

    def clear(self) -> None:
        """Forget the poses."""
        self._buffer.clear()


class OdometryPoses(TopicPoses):
    """Poses from odometry of the robot's base on ``odom``, with base to camera from TF."""

    def __init__(self, node: Node, config: Config, notify: Notify) -> None:
        self._base = config.frames.base
        self._tf = live_transforms(node)
        super().__init__(node, config, notify, Odometry, "odom")
        self.wanted = f"{self.wanted} and a transform from its child frame to the camera on TF"

    def _receive(self, msg: Any) -> None:
        self._base = msg.child_frame_id.lstrip("/") or self._base
        self.sigma = covariance_to_sigma(msg.pose.covariance)
        self._add(msg, msg.pose.pose)

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return odometry at the stamp, times base to camera.

        Raises:
            PoseError: at the last chance, TF does not know where the camera is on the base.
        """
        T_odom_base = super().pose(stamp_ns, camera_frame, last_chance)
        if T_odom_base is None or self._base == camera_frame:
            return T_odom_base
        # The camera's mount is fixed, so the latest transform is valid for every stamp.
        T_base_camera = self._tf.matrix(self._base, camera_frame, 0)
        if T_base_camera is None and last_chance:
            raise PoseError.from_parts(
                f"place of the camera on {self._base!r}",
                f"no transform from it to {camera_frame!r} on TF",
                f"the camera's mount below the child frame of {self._topic}",
                "publish it as a static transform, or correct frames.camera",
            )
        return None if T_base_camera is None else T_odom_base @ T_base_camera

    def passed(self, stamp_ns: int) -> bool:
        """Return false, because the mount may still arrive on TF until patience ends."""
        return False


class TfPoses(PoseSource):
    """Poses from TF: ``odom -> camera`` at the image stamp, interpolated without a tolerance."""

    in_odom = True

    def __init__(self, node: Node, config: Config, notify: Notify) -> None:
        self._odom = config.frames.odom
        self.wanted = f"a transform from {self._odom} to the camera on TF at the image stamp"
        self._tf = live_transforms(node)

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> Matrix | None:
        """Return the transform at the stamp. ``map -> odom`` is the identity."""
        return self._tf.matrix(self._odom, camera_frame, stamp_ns)

    def clear(self) -> None:
        """Forget the moving transforms."""
        self._tf.clear()


def make_pose_source(node: Node, config: Config, notify: Notify) -> PoseSource:
    """Return the pose source of ``pose.source``. ``notify`` is called when a pose arrives."""
    # Dense odometry asks for no prior.
    kind = config.tracking.prior if config.pose.is_tracked else config.pose.source
    if kind == "none":
        return ImagePoses()
    kinds: dict[str, type[TopicPoses | TfPoses]] = {
        "topic": TopicPoses,
        "odometry": OdometryPoses,
        "tf": TfPoses,
    }
    source = kinds[kind](node, config, notify)
    # A prior may be missing: images alone do then.
    source.required = not config.pose.is_tracked
    return source
