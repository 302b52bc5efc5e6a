"""The pose that somebody gives in RViz ("2D Pose Estimate"): the place to look at first."""

from __future__ import annotations

import math
from collections.abc import Callable

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.nodes.live_transforms import live_transforms
from e2e_slam_ros.nodes.pose_messages import pose_to_matrix
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.slam.pose_tracking import T_MAP_FIRST, PoseTracking

KIND = "initial_pose"
# Keyframes within three standard deviations are compared, within these limits.
_SIGMAS = 3.0
_RADIUS_M = (1.0, 10.0)
# A keyframe that looks this far aside may still show what the camera sees.
_ANGLE_DEG = (45.0, 180.0)


class InitialPose:
    """Subscribes ``initialpose``, and has the tracker look near the poses that arrive.

    The pose is that of ``frames.base``. Where TF does not say how the camera is mounted, the
    camera is taken to look along the pose's x axis. Height does not count.

    Args:
        tracking: of the node.
        on_problem: called with (kind, error) for a pose that cannot be used.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        tracking: PoseTracking,
        on_problem: Callable[[str, Exception | str], None],
    ) -> None:
        self._frames = config.frames
        self._tracking = tracking
        self._on_problem = on_problem
        self._log = node.get_logger()
        self._tf = live_transforms(node)
        self._subscription = node.create_subscription(
            PoseWithCovarianceStamped, "initialpose", self._receive, reliable()
        )

    def _receive(self, msg: PoseWithCovarianceStamped) -> None:
        try:
            self._use(msg)
        except PoseError as error:
            self._on_problem(KIND, error)

    def _use(self, msg: PoseWithCovarianceStamped) -> None:
        frame = msg.header.frame_id.lstrip("/")
        if frame != self._frames.map:
            raise PoseError.from_parts(
                "initialpose",
                f"a pose in the frame {frame!r}",
                f"one in {self._frames.map!r}",
                "set RViz' fixed frame to the map frame",
            )
        T_map_base = pose_to_matrix(msg.pose.pose)
        if not self._tracking.has_map:
            raise PoseError.from_parts(
                "initialpose",
                "a pose, but there is no map",
                "a map with keyframes of the tracker",
                "load one with ~/load_map, or move the camera until a map has begun",
            )
        T_base_camera = self._tf.matrix(self._frames.base, self._frames.camera, 0)
        mount = T_MAP_FIRST if T_base_camera is None else T_base_camera
        radius_m, angle_deg = reach(msg.pose.covariance)
        self._tracking.look_near(T_map_base @ mount, radius_m, angle_deg)
        x, y, _ = T_map_base[:3, 3]
        self._log.info(f"looking within {radius_m:.1f} m of the given pose ({x:.2f}, {y:.2f})")


def reach(covariance: object) -> tuple[float, float]:
    """Return the distance in metres and the angle in degrees to look within.

    Args:
        covariance: 36 numbers, row by row: x, y, z in metres, then the rotations in radians.

    Raises:
        PoseError: a variance of x, y or yaw is negative or not finite.
    """
    values = [float(value) for value in covariance]  # type: ignore[attr-defined]
    across, yaw = max(values[0], values[7]), values[35]
    if not all(math.isfinite(v) and v >= 0.0 for v in (values[0], values[7], yaw)):
        raise PoseError.from_parts(
            "initialpose",
            f"variances {values[0]}, {values[7]}, {yaw}",
            "finite values of 0 or more",
            "check what publishes the pose",
        )
    radius_m = min(max(_SIGMAS * math.sqrt(across), _RADIUS_M[0]), _RADIUS_M[1])
    angle_deg = math.degrees(_SIGMAS * math.sqrt(yaw))
    return radius_m, min(max(angle_deg, _ANGLE_DEG[0]), _ANGLE_DEG[1])
