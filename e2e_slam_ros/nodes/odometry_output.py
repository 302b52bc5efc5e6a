"""The robot's pose and speed as odometry."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from nav_msgs.msg import Odometry
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.live_transforms import live_transforms
from e2e_slam_ros.nodes.pose_messages import Matrix, odometry_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp

# Speed is measured over at least this time, where frames come that fast: shorter, and the poses'
# noise is all there is.
_SPAN_NS = 100_000_000
# After a longer gap the speed is unknown.
_GAP_NS = 1_000_000_000


class OdometryOutput:
    """Publishes ``odometry`` at camera rate: pose and twist with their covariances.

    The child frame is ``frames.base`` if TF knows how the camera is mounted on it, else the
    camera. The twist is that of the last tenth of a second, in the child frame. Its first
    covariance is -1 while it is unknown.
    """

    def __init__(self, node: Node, config: Config) -> None:
        self._config = config
        self._tree = live_transforms(node)
        self._publisher = node.create_publisher(Odometry, "odometry", reliable())
        self._child = ""
        self._course: deque[tuple[int, Matrix]] = deque(maxlen=100)

    def publish(
        self,
        stamp_ns: int,
        camera_frame: str,
        T_map_camera: Matrix,
        T_odom_camera: Matrix | None,
        covariance: Matrix,
        motion: tuple[float, float] | None,
    ) -> None:
        """Publish a frame's pose.

        Args:
            stamp_ns: image time.
            camera_frame: TF frame of the camera.
            T_map_camera: (4, 4).
            T_odom_camera: (4, 4) the pose in the odometry frame, which never jumps; or None.
            covariance: (6, 6) of the pose's twist ``[rho, phi]`` in the camera.
            motion: standard deviations of the motion between two poses, metres and radians;
                None: that of the pose itself.
        """
        child, T_child_camera = self._mount(camera_frame)
        T_camera_child = np.linalg.inv(T_child_camera)
        T_map_child = T_map_camera @ T_camera_child
        smooth = T_map_child if T_odom_camera is None else T_odom_camera @ T_camera_child
        in_child = moved_covariance(covariance, T_child_camera)
        frame = self._config.frames.map
        msg = odometry_message(T_map_child, ns_to_stamp(stamp_ns), frame, child)
        axes = np.kron(np.eye(2), T_map_child[:3, :3])
        msg.pose.covariance = (axes @ in_child @ axes.T).reshape(-1)
        before = self._before(stamp_ns, child, smooth)
        if before is not None:
            seconds = (stamp_ns - before[0]) * 1e-9
            self._fill_twist(msg, speed(before[1], smooth, seconds))
            spread = 2.0 * in_child if motion is None else isotropic(motion)
            msg.twist.covariance = (spread / seconds**2).reshape(-1)
        self._publisher.publish(msg)

    def clear(self) -> None:
        """Forget the poses."""
        self._course.clear()

    def _mount(self, camera_frame: str) -> tuple[str, Matrix]:
        """Return the child frame, and the camera in it."""
        base = self._config.frames.base
        if base in self._tree.ancestors(camera_frame):
            mount = self._tree.matrix(base, camera_frame, 0)
            if mount is not None:
                return base, mount
        return camera_frame, np.eye(4)

    def _before(self, stamp_ns: int, child: str, pose: Matrix) -> tuple[int, Matrix] | None:
        """Return the pose to measure the speed from, with its stamp; remember this one."""
        course = self._course
        if child != self._child or (course and not 0 < stamp_ns - course[-1][0] < _GAP_NS):
            course.clear()
        self._child = child
        while len(course) > 1 and stamp_ns - course[1][0] >= _SPAN_NS:
            course.popleft()
        before = course[0] if course else None
        course.append((stamp_ns, pose))
        return before

    @staticmethod
    def _fill_twist(msg: Odometry, twist: npt.NDArray[np.float64]) -> None:
        linear, angular = msg.twist.twist.linear, msg.twist.twist.angular
        linear.x, linear.y, linear.z = (float(v) for v in twist[:3])
        angular.x, angular.y, angular.z = (float(v) for v in twist[3:])


def speed(before: Matrix, now: Matrix, seconds: float) -> npt.NDArray[np.float64]:
    """Return (6,) metres and radians per second between two poses, in the axes of the second.

    Example:
        >>> ahead = np.eye(4)
        >>> ahead[0, 3] = 0.5
        >>> speed(np.eye(4), ahead, 0.25).tolist()
        [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    axes = now[:3, :3].T
    turned = Rotation.from_matrix(before[:3, :3].T @ now[:3, :3]).as_rotvec()
    moved = axes @ (now[:3, 3] - before[:3, 3])
    return np.concatenate([moved, turned]) / seconds


def moved_covariance(covariance: Matrix, T_child_camera: Matrix) -> Matrix:
    """Return the covariance (6, 6) of ``[rho, phi]`` of a frame fixed to the camera.

    The adjoint moves a twist from one frame to another: Barfoot, State Estimation for Robotics
    (2017), equation 7.18.

    Example:
        >>> sure_of_place = np.diag([0.0, 0.0, 0.0, 0.0, 0.0, 0.01])
        >>> T_base_camera = np.eye(4)
        >>> T_base_camera[0, 3] = 2.0  # two metres ahead of the base
        >>> moved_covariance(sure_of_place, T_base_camera).diagonal().round(3).tolist()
        [0.0, 0.04, 0.0, 0.0, 0.0, 0.01]
    """
    rotation, (x, y, z) = T_child_camera[:3, :3], T_child_camera[:3, 3]
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = rotation
    adjoint[:3, 3:] = cross @ rotation
    moved: Matrix = adjoint @ covariance @ adjoint.T
    return moved


def isotropic(sigma: tuple[float, float]) -> Matrix:
    """Return the covariance (6, 6) of the same uncertainty along and about each axis.

    Example:
        >>> isotropic((0.1, 0.2)).diagonal().round(2).tolist()
        [0.01, 0.01, 0.01, 0.04, 0.04, 0.04]
    """
    return np.diag([sigma[0] ** 2] * 3 + [sigma[1] ** 2] * 3)
