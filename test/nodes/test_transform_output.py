"""The map on TF: one root, no frame with two parents, and a correction that is always fresh."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from tf2_msgs.msg import TFMessage
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.pose_messages import (
    pose_to_matrix,
    transform_message,
    transform_to_matrix,
)
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.stamps import ns_to_stamp, stamp_to_ns
from nodes.ros_peer import OPTICAL, Peer, peer_in, wait_for
from nodes.test_pose_frames import sentences
from nodes.test_pose_sources import T_BASE_CAMERA, send_without_pose
from nodes.test_resets import spinning
from synthetic import pose

# Far beyond what a busy machine delays.
AHEAD_S = 5.0
Edges = list[tuple[str, str, int, np.ndarray]]


@contextmanager
def slam(domain: int, source: str, **settings: object) -> Iterator[SlamNode]:
    values = {"pose.source": source, "runtime.silence_s": 0.0, "pose.refine": "off"}
    config = Config().with_values(values | {"publish.transform_tolerance_s": AHEAD_S})
    with spinning(SlamNode, domain, config.with_values(settings)) as node:
        yield node


def listen(peer: Peer) -> Edges:
    """Every transform from the node under test, in order: parent, child, stamp, matrix."""
    heard: Edges = []

    def add(msg: TFMessage) -> None:
        for one in msg.transforms:
            if one.header.frame_id in ("map", "odom") and one.child_frame_id != "theirs":
                matrix = transform_to_matrix(one.transform)
                stamp_ns = stamp_to_ns(one.header.stamp)
                heard.append((one.header.frame_id, one.child_frame_id, stamp_ns, matrix))

    peer.create_subscription(TFMessage, "/tf", add, 1000)
    return heard


def edges(heard: Edges) -> set[tuple[str, str]]:
    return {(parent, child) for parent, child, _, _ in heard}


def mount(peer: Peer, parent: str = "base_link", child: str = OPTICAL) -> object:
    static = StaticTransformBroadcaster(peer)
    static.sendTransform(transform_message(T_BASE_CAMERA, Time(), parent, child))
    return static


def drive(peer: Peer, moving: TransformBroadcaster, second: float, x: float) -> None:
    stamp = ns_to_stamp(round(second * 1e9))
    moving.sendTransform(transform_message(pose(x=x).numpy(), stamp, "odom", "base_link"))


def test_map_to_odom_is_there_before_the_first_image_and_while_paused(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "tf") as node:
        heard, moving = listen(peer), TransformBroadcaster(peer)
        static = mount(peer)
        wait_for(lambda: peer.count_subscribers("/tf") >= 2, "the node's listener")

        def placed() -> bool:  # one odometry message may come before its listener
            drive(peer, moving, time.time(), 1.0)
            return ("map", "odom") in edges(heard)

        wait_for(placed, "map -> odom before any image")
        ahead_ns = [ns - time.time_ns() for p, c, ns, _ in heard if (p, c) == ("map", "odom")]
        assert ahead_ns[-1] > 1_000_000_000, "dated into the future"
        assert node.camera_input.frames == 0
        node._pause()
        heard.clear()
        wait_for(lambda: sum(p == "map" for p, _, _, _ in heard) > 3, "map -> odom while paused")
        stamps = [ns for p, _, ns, _ in heard if p == "map"]
        assert stamps == sorted(set(stamps))
        assert static is not None


def test_stamps_of_another_clock_are_not_mixed_with_ours(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "tf"):
        heard, moving = listen(peer), TransformBroadcaster(peer)
        static = mount(peer)
        wait_for(lambda: "/slam_node" in peer.status, "the node")
        wait_for(lambda: peer.image_out.get_subscription_count(), "the node")
        wait_for(lambda: peer.count_subscribers("/tf") >= 2, "the node's listener")
        drive(peer, moving, 0.9, 1.0)
        drive(peer, moving, 1.1, 1.0)
        peer.wait_processed(send_without_pose(peer, 1.0))
        wait_for(lambda: ("map", "odom") in edges(heard), "map -> odom", 5.0)
        # Nothing more is sent: ten periods of the timer that would send it.
        time.sleep(0.5)
        assert {ns for p, c, ns, _ in heard if (p, c) == ("map", "odom")} == {6_000_000_000}
        assert static is not None


def test_a_camera_on_a_base_moves_the_base(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic"):
        heard, static = listen(peer), mount(peer)
        peer.wait_for_slam("slam_node")
        stamp_ns = peer.send_good(1.0, x=0.5)
        wait_for(lambda: heard, "TF", 5.0)
        ((parent, child, sent_ns, matrix),) = heard
        assert (parent, child, sent_ns) == ("map", "base_link", stamp_ns)
        np.testing.assert_allclose(matrix @ T_BASE_CAMERA, pose(x=0.5).numpy(), atol=1e-9)
        assert static is not None and peer.problems() == {}


def test_a_pose_topic_on_a_robot_with_odometry_corrects_it(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic"):
        heard, moving = listen(peer), TransformBroadcaster(peer)
        static = mount(peer)
        peer.wait_for_slam("slam_node")
        wait_for(lambda: peer.count_subscribers("/tf") >= 2, "the node's listener")
        now = time.time()
        drive(peer, moving, now - 1.0, 2.0)
        peer.send_good(now, x=5.0)
        # The robot's transform at the image's stamp comes later than the image.
        drive(peer, moving, now + 1.0, 4.0)
        wait_for(lambda: ("map", "odom") in edges(heard), "map -> odom", 5.0)
        wait_for(lambda: sum(p == "map" for p, _, _, _ in heard) > 3, "and again and again", 5.0)
        assert edges(heard) == {("map", "odom"), ("odom", "base_link")}
        T_odom_camera = pose(x=3.0).numpy() @ T_BASE_CAMERA
        found = [matrix for p, _, _, matrix in heard if p == "map"][-1]
        np.testing.assert_allclose(found @ T_odom_camera, pose(x=5.0).numpy(), atol=1e-6)
        assert static is not None


def test_a_camera_that_has_a_way_to_the_map_gets_no_second_parent(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic") as node:
        heard, static = listen(peer), StaticTransformBroadcaster(peer)
        said = sentences(node, monkeypatch)
        static.sendTransform(
            [
                transform_message(np.eye(4), Time(), "map", "theirs"),
                transform_message(np.eye(4), Time(), "theirs", OPTICAL),
            ]
        )
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        peer.send_good(2.0)
        wait_for(lambda: peer.problems() == {"tf": 1}, "the count", 5.0)
        for part in ("tf: ", f"'{OPTICAL}'", "map <- theirs", "got", "expected", "publish.tf"):
            assert part in said[0]
        assert heard == [] and node.camera_input.frames == 2


def test_odometry_has_the_base_its_speed_and_what_is_known_of_both(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic"):
        found: list[Odometry] = []
        peer.create_subscription(Odometry, "odometry", found.append, 10)
        given = peer.create_publisher(PoseWithCovarianceStamped, "camera/pose_with_covariance", 10)
        static = mount(peer)
        peer.wait_for_slam("slam_node")
        wait_for(lambda: given.get_subscription_count(), "the node")
        for index in range(3):
            image, info, depth, at = peer.messages(1.0 + 0.2 * index, x=0.1 * index)
            msg = PoseWithCovarianceStamped(header=at.header)
            msg.pose.pose = at.pose
            msg.pose.covariance[::7] = [0.0004] * 3 + [0.0001] * 3
            given.publish(msg)
            peer.wait_processed(peer.send(image, info, depth, None))
        wait_for(lambda: len(found) == 3, "odometry", 5.0)
        first, *_, last = found
        assert (last.header.frame_id, last.child_frame_id) == ("map", "base_link")
        T_map_base = pose(x=0.2).numpy() @ np.linalg.inv(T_BASE_CAMERA)
        np.testing.assert_allclose(pose_to_matrix(last.pose.pose), T_map_base, atol=1e-9)
        variances = np.reshape(last.pose.covariance, (6, 6)).diagonal()
        # The base is 0.2 m beside and 0.1 m before the camera: its angle moves the base.
        lever = np.array([0.1**2, 0.1**2 + 0.2**2, 0.2**2]) * 0.0001
        np.testing.assert_allclose(variances, [*(0.0004 + lever), *[0.0001] * 3], rtol=1e-6)
        assert first.twist.covariance[0] == -1.0
        axes = T_map_base[:3, :3].T
        linear = last.twist.twist.linear
        np.testing.assert_allclose(
            (linear.x, linear.y, linear.z), axes @ [0.5, 0.0, 0.0], atol=1e-9
        )
        assert all(v > 0 for v in np.reshape(last.twist.covariance, (6, 6)).diagonal())
        assert static is not None
