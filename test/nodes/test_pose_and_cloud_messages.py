from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sensor_msgs_py import point_cloud2

from e2e_slam_ros.config.errors import MessageError, PoseError
from e2e_slam_ros.nodes.cloud_messages import cloud_arrays, cloud_message
from e2e_slam_ros.nodes.pose_messages import (
    matrix_to_pose,
    odometry_message,
    pose_to_matrix,
    transform_message,
    transform_to_matrix,
)

ANGLE = st.floats(-math.pi, math.pi)
METRES = st.floats(-1e4, 1e4)


@given(st.tuples(ANGLE, ANGLE, ANGLE), st.tuples(METRES, METRES, METRES))
def test_a_motion_survives_the_round_trip(
    angles: tuple[float, float, float], position: tuple[float, float, float]
) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    matrix[:3, 3] = position
    np.testing.assert_allclose(pose_to_matrix(matrix_to_pose(matrix)), matrix, atol=1e-9)
    msg = transform_message(matrix, Time(), "map", "camera")
    np.testing.assert_allclose(transform_to_matrix(msg.transform), matrix, atol=1e-9)


@pytest.mark.parametrize("bad", ["nan", "inf", "zero", "long"])
def test_a_pose_that_is_none_is_refused(bad: str) -> None:
    pose = Pose()
    pose.orientation.w = {"zero": 0.0, "long": 2.0}.get(bad, 1.0)
    pose.position.x = float(bad) if bad in ("nan", "inf") else 0.0
    with pytest.raises(PoseError, match="quaternion"):
        pose_to_matrix(pose)


def test_odometry_says_that_its_twist_is_unknown() -> None:
    msg = odometry_message(np.eye(4), Time(), "map", "camera")
    assert msg.twist.covariance[0] == -1.0 and msg.child_frame_id == "camera"


def test_a_cloud_is_what_readers_of_point_clouds_expect() -> None:
    positions = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 9.0]], np.float32)
    colors = np.array([[255, 128, 1], [0, 10, 20]], np.uint8)
    msg = cloud_message(positions, colors, Time(), "map")
    assert [f.name for f in msg.fields] == ["x", "y", "z", "rgb"]
    assert msg.row_step == len(msg.data) == 2 * msg.point_step
    points = point_cloud2.read_points(msg, field_names=["x", "y", "z", "rgb"])
    np.testing.assert_array_equal(points["x"], positions[:, 0])
    np.testing.assert_array_equal(points["z"], positions[:, 2])
    packed = np.ascontiguousarray(points["rgb"]).view(np.uint32)
    np.testing.assert_array_equal(packed >> 16 & 0xFF, colors[:, 0])
    np.testing.assert_array_equal(packed >> 8 & 0xFF, colors[:, 1])
    np.testing.assert_array_equal(packed & 0xFF, colors[:, 2])


def test_a_cloud_survives_the_round_trip_and_may_be_empty() -> None:
    generator = np.random.default_rng(0)
    for count in (0, 1, 1000):
        positions = generator.normal(size=(count, 3)).astype(np.float32)
        colors = generator.integers(0, 255, (count, 3), dtype=np.uint8)
        found = cloud_arrays(cloud_message(positions, colors, Time(), "map"))
        np.testing.assert_array_equal(found[0], positions)
        np.testing.assert_array_equal(found[1], colors)


def test_another_cloud_layout_is_refused() -> None:
    msg = cloud_message(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), Time(), "map")
    msg.fields = msg.fields[:3]
    with pytest.raises(MessageError, match="fields"):
        cloud_arrays(msg)
