"""slam_node with poses from odometry and from TF: a robot's own tree stays whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry, Path
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.parameters import overrides
from e2e_slam_ros.nodes.pose_messages import (
    odometry_message,
    pose_to_matrix,
    transform_message,
    transform_to_matrix,
)
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.spinning import SpinThread
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, Peer, peer_in, wait_for
from synthetic import pose

SECOND = 1_000_000_000
T_BASE_CAMERA = pose(x=0.2, z=0.1).numpy()


@contextmanager
def slam(domain: int, source: str) -> Iterator[SlamNode]:
    config = Config().with_values({"pose.source": source, "runtime.offline": True})
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=domain)
    node = SlamNode(context, overrides(config))
    try:
        with SpinThread(node):
            yield node
    finally:
        node.close(save=False)
        node.destroy_node()
        context.try_shutdown()


def send_without_pose(peer: Peer, second: float) -> int:
    image, info, depth, _ = peer.messages(second)
    return peer.send(image, info, depth, None)


def check_tracked(peer: Peer, stamp_ns: int, expected: np.ndarray, odometry: list) -> None:
    peer.wait_processed(stamp_ns)
    wait_for(lambda: odometry, "odometry of the base", 5.0)
    assert odometry[-1].header.frame_id == "map"
    assert odometry[-1].child_frame_id == "base_link"
    np.testing.assert_allclose(pose_to_matrix(odometry[-1].pose.pose), expected, atol=1e-9)
    # The camera has a parent already: only map -> odom is ours, or the tree had two roots.
    dated_ns = stamp_ns + round(Config().publish.transform_tolerance_s * 1e9)
    wait_for(lambda: dated_ns in peer.transforms, "TF", 5.0)
    sent = peer.transforms[dated_ns]
    assert (sent.header.frame_id, sent.child_frame_id) == ("map", "odom")
    np.testing.assert_array_equal(transform_to_matrix(sent.transform), np.eye(4))
    assert peer.problems() == {}


def test_odometry_and_the_cameras_place_on_the_robot_give_its_pose(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "odometry"):
        found: list[Odometry] = []
        peer.create_subscription(Odometry, "odometry", found.append, 10)
        sender = peer.create_publisher(Odometry, "odom", 10)
        static = StaticTransformBroadcaster(peer)
        static.sendTransform(transform_message(T_BASE_CAMERA, Time(), "base_link", OPTICAL))
        wait_for(lambda: sender.get_subscription_count() and found is not None, "the node")
        wait_for(lambda: peer.image_out.get_subscription_count(), "the node")
        wait_for(lambda: peer.count_publishers("odometry"), "the node")
        wait_for(lambda: "/slam_node" in peer.status, "the node")
        before, after = pose(x=1.0).numpy(), pose(x=2.0).numpy()
        stamps = (SECOND - 20_000_000, SECOND + 20_000_000)
        for stamp_ns, matrix in zip(stamps, (before, after), strict=True):
            msg = odometry_message(matrix, ns_to_stamp(stamp_ns), "odom", "base_link")
            sender.publish(msg)
        expected = pose(x=1.5).numpy()
        check_tracked(peer, send_without_pose(peer, 1.0), expected, found)


def test_tf_gives_the_pose_at_the_image_stamp(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "tf"):
        found: list[Odometry] = []
        peer.create_subscription(Odometry, "odometry", found.append, 10)
        static, moving = StaticTransformBroadcaster(peer), TransformBroadcaster(peer)
        static.sendTransform(transform_message(T_BASE_CAMERA, Time(), "base_link", OPTICAL))
        wait_for(lambda: peer.image_out.get_subscription_count(), "the node")
        wait_for(lambda: "/slam_node" in peer.status, "the node")
        wait_for(lambda: moving.pub_tf.get_subscription_count() >= 2, "the node's listener")
        for second, x in ((0.9, 1.0), (1.1, 3.0)):
            stamp = ns_to_stamp(round(second * SECOND))
            robot = pose(x=x).numpy()
            moving.sendTransform(transform_message(robot, stamp, "odom", "base_link"))
        expected = pose(x=2.0).numpy()
        check_tracked(peer, send_without_pose(peer, 1.0), expected, found)


def test_without_tf_the_frame_is_refused_and_what_was_wanted_is_said(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "tf"):
        wait_for(lambda: peer.image_out.get_subscription_count(), "the node")
        wait_for(lambda: "/slam_node" in peer.status, "the node")
        peer.wait_processed(send_without_pose(peer, 1.0))
        wait_for(lambda: peer.problems() == {"no_pose": 1}, "the count", 5.0)


def test_the_path_grows_with_the_camera(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic"):
        paths: list[Path] = []
        peer.create_subscription(Path, "path", paths.append, 10)
        peer.wait_for_slam("slam_node")
        for index in range(3):
            peer.send_good(1.0 + index, x=0.1 * index)
        wait_for(lambda: paths and len(paths[-1].poses) == 3, "the path", 5.0)
        assert paths[-1].header.frame_id == "map"
        assert [p.pose.position.x for p in paths[-1].poses] == pytest.approx([0.0, 0.1, 0.2])
