from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.nodes.conversions import image_message
from e2e_slam_ros.nodes.depth_matcher import DepthMatcher
from e2e_slam_ros.nodes.pose_buffer import PoseBuffer
from e2e_slam_ros.nodes.stamps import ns_to_stamp

SECOND = 1_000_000_000
TOLERANCE = 50_000_000


def moved(x: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = x
    return matrix


def test_after_a_jump_back_depth_of_the_last_round_does_not_end_the_wait() -> None:
    matcher = DepthMatcher()
    matcher.add(depth_image(10 * SECOND))
    assert matcher.passed(2 * SECOND, 0)
    matcher.restart(2 * SECOND)
    assert not matcher.passed(2 * SECOND, 0)


def test_poses_are_interpolated_between_neighbours_only() -> None:
    buffer = PoseBuffer()
    buffer.put(0, moved(0.0))
    assert buffer.at(20_000_000, TOLERANCE, last_chance=False) is None
    buffer.put(40_000_000, moved(1.0))
    between = buffer.at(10_000_000, TOLERANCE, last_chance=False)
    assert between is not None and between[0, 3] == pytest.approx(0.25)
    beyond = buffer.at(60_000_000, TOLERANCE, last_chance=True)
    assert beyond is not None and beyond[0, 3] == 1.0
    assert buffer.at(200_000_000, TOLERANCE, last_chance=True) is None


def test_the_pose_buffer_is_bounded_and_starts_again_with_the_recording() -> None:
    buffer = PoseBuffer(size=10)
    for second in range(20):
        buffer.put(second * SECOND, moved(second))
    assert buffer.at(9 * SECOND, TOLERANCE, True) is None
    assert buffer.at(10 * SECOND, TOLERANCE, True) is not None
    buffer.put(SECOND, moved(0.0))
    assert buffer.at(10 * SECOND, TOLERANCE, True) is None and not buffer.passed(SECOND)


def depth_image(stamp_ns: int) -> object:
    return image_message(np.ones((2, 2), np.float32), "32FC1", ns_to_stamp(stamp_ns), "lens")


def test_depth_of_the_same_stamp_is_taken_at_once() -> None:
    matcher = DepthMatcher()
    matcher.add(depth_image(SECOND))
    assert matcher.match(SECOND, 0, last_chance=False) is not None


def test_near_depth_waits_for_a_nearer_one() -> None:
    matcher = DepthMatcher()
    matcher.add(depth_image(SECOND - 10_000_000))
    assert matcher.match(SECOND, 20_000_000, last_chance=False) is None
    assert matcher.match(SECOND, 20_000_000, last_chance=True) is not None
    matcher.add(depth_image(SECOND + 5_000_000))
    nearer = matcher.match(SECOND, 20_000_000, last_chance=False)
    assert nearer is not None and nearer.header.stamp.nanosec == 5_000_000


def test_far_depth_never_matches_and_says_so() -> None:
    matcher = DepthMatcher(size=4)
    for second in range(10, 20):
        matcher.add(depth_image(second * SECOND))
    assert matcher.match(15 * SECOND + SECOND // 2, 20_000_000, last_chance=True) is None
    assert matcher.match(10 * SECOND, 20_000_000, last_chance=True) is None, "bounded"
    assert matcher.passed(15 * SECOND, 20_000_000)
    assert not matcher.passed(19 * SECOND, 20_000_000)
