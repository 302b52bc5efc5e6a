"""Conversion of rigid motions to messages and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, PoseStamped, Transform, TransformStamped
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.pose_track import pose_matrix

Matrix = npt.NDArray[np.float64]
# Largest deviation of a quaternion's length from 1. Rounding to two digits stays below it.
_LENGTH_TOLERANCE = 0.05


def pose_to_matrix(pose: Pose) -> Matrix:
    """Return a pose message as a (4, 4) rigid motion.

    Raises:
        PoseError: a value that is not finite, or a quaternion that is not of length 1.
    """
    return _matrix(pose.position, pose.orientation)


def transform_to_matrix(transform: Transform) -> Matrix:
    """Return a transform message as a (4, 4) rigid motion. Errors are as in `pose_to_matrix`."""
    return _matrix(transform.translation, transform.rotation)


def covariance_to_sigma(covariance: npt.ArrayLike) -> tuple[float, float] | None:
    """Return the standard deviations of position (metres) and rotation (radians) along one axis.

    Args:
        covariance: (36,) as in PoseWithCovariance; the variances are averaged over the axes.

    Returns:
        None where it states nothing: zeros, as unset messages have, or no covariance at all.
    """
    variances = np.asarray(covariance, dtype=np.float64).reshape(6, 6).diagonal()
    if not (np.isfinite(variances).all() and (variances > 0.0).all()):
        return None
    return float(np.sqrt(variances[:3].mean())), float(np.sqrt(variances[3:].mean()))


def matrix_to_pose(matrix: Matrix) -> Pose:
    """Return a (4, 4) rigid motion as a pose message."""
    pose = Pose()
    _fill(pose.position, pose.orientation, matrix)
    return pose


def pose_message(matrix: Matrix, stamp: Time, frame_id: str) -> PoseStamped:
    """Return ``T_frame_x`` as a stamped pose of x in ``frame_id``."""
    return PoseStamped(header=Header(stamp=stamp, frame_id=frame_id), pose=matrix_to_pose(matrix))


def transform_message(
    matrix: Matrix, stamp: Time, frame_id: str, child_frame_id: str
) -> TransformStamped:
    """Return ``T_frame_child`` for TF."""
    msg = TransformStamped()
    msg.header = Header(stamp=stamp, frame_id=frame_id)
    msg.child_frame_id = child_frame_id
    _fill(msg.transform.translation, msg.transform.rotation, matrix)
    return msg


def odometry_message(matrix: Matrix, stamp: Time, frame_id: str, child_frame_id: str) -> Odometry:
    """Return a pose as Odometry. The twist is unknown, so its covariance begins with -1."""
    msg = Odometry()
    msg.header = Header(stamp=stamp, frame_id=frame_id)
    msg.child_frame_id = child_frame_id
    msg.pose.pose = matrix_to_pose(matrix)
    msg.twist.covariance[0] = -1.0
    return msg


def _matrix(translation: object, rotation: object) -> Matrix:
    t, q = translation, rotation
    position = (t.x, t.y, t.z)  # type: ignore[attr-defined]
    quaternion = (q.x, q.y, q.z, q.w)  # type: ignore[attr-defined]
    length = float(np.linalg.norm(quaternion))
    if not np.isfinite(position).all() or not abs(length - 1.0) <= _LENGTH_TOLERANCE:
        raise PoseError.from_parts(
            "pose",
            f"position {position}, quaternion {quaternion}",
            "finite values and a quaternion of length 1",
            "check what publishes the pose",
        )
    return pose_matrix(position, quaternion)


def _fill(translation: object, rotation: object, matrix: Matrix) -> None:
    t, q = translation, rotation
    t.x, t.y, t.z = (float(v) for v in matrix[:3, 3])  # type: ignore[attr-defined]
    quaternion = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    q.x, q.y, q.z, q.w = (float(v) for v in quaternion)  # type: ignore[attr-defined]
