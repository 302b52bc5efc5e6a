"""Frame ids of given poses: honoured, or refused with what would help."""

from __future__ import annotations

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from tf2_msgs.msg import TFMessage
from tf2_ros import StaticTransformBroadcaster

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.pose_messages import (
    covariance_to_sigma,
    odometry_message,
    pose_to_matrix,
    transform_message,
    transform_to_matrix,
)
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from e2e_slam_ros.nodes.trajectory_output import TrajectoryOutput
from nodes.ros_peer import OPTICAL, Peer, peer_in, wait_for
from nodes.test_pose_sources import SECOND, send_without_pose, slam
from synthetic import pose


class Tree:
    """All transforms a peer hears, by (parent, child)."""

    def __init__(self, peer: Peer) -> None:
        self.edges: dict[tuple[str, str], np.ndarray] = {}
        peer.create_subscription(TFMessage, "/tf", self._on_tf, 100)

    def _on_tf(self, msg: TFMessage) -> None:
        for item in msg.transforms:
            key = (item.header.frame_id, item.child_frame_id)
            self.edges[key] = transform_to_matrix(item.transform)


def listen(peer: Peer) -> list[Odometry]:
    found: list[Odometry] = []
    peer.create_subscription(Odometry, "odometry", found.append, 10)
    return found


def sentences(node: SlamNode, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node says of problems from now on."""
    said, problem = [], node.diagnostics.problem

    def listening(kind: str, reason: object) -> None:
        said.append(f"{kind}: {reason}")
        problem(kind, reason)

    monkeypatch.setattr(node.diagnostics, "problem", listening)
    return said


def test_a_pose_in_odom_is_a_pose_in_odom(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic"):
        tree = Tree(peer)
        peer.wait_for_slam("slam_node")
        image, info, depth, at = peer.messages(1.0, x=0.5)
        at.header.frame_id = "odom"
        peer.wait_processed(peer.send(image, info, depth, at))
        wait_for(lambda: len(tree.edges) == 2, "both transforms", 5.0)
        np.testing.assert_array_equal(tree.edges["map", "odom"], np.eye(4))
        np.testing.assert_allclose(tree.edges["odom", OPTICAL], pose(x=0.5).numpy())
        assert peer.problems() == {}


def test_a_pose_in_a_frame_that_tf_knows(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic"):
        tree = Tree(peer)
        static = StaticTransformBroadcaster(peer)
        shift = pose(x=2.0).numpy()
        static.sendTransform(transform_message(shift, Time(), "map", "vicon"))
        peer.wait_for_slam("slam_node")
        image, info, depth, at = peer.messages(1.0, x=0.5)
        at.header.frame_id = "vicon"
        peer.wait_processed(peer.send(image, info, depth, at))
        wait_for(lambda: ("map", OPTICAL) in tree.edges, "the camera", 5.0)
        np.testing.assert_allclose(tree.edges["map", OPTICAL], pose(x=2.5).numpy())


def test_a_pose_in_an_unknown_frame_is_refused_with_what_helps(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic") as node:
        tree, said = Tree(peer), sentences(node, monkeypatch)
        peer.wait_for_slam("slam_node")
        image, info, depth, at = peer.messages(1.0)
        at.header.frame_id = "vicon"
        peer.wait_processed(peer.send(image, info, depth, at))
        wait_for(lambda: sum(peer.problems().values()) == 1, "the count", 5.0)
        assert tree.edges == {} and node.mapped == 0
        for part in ("pose: ", "'vicon'", "got", "expected", "frames.map"):
            assert part in said[0]
        # The next pose is where it should be: nothing was lost by the refusal.
        peer.send_good(2.0)
        assert node.mapped == 1


def test_odometry_in_the_map_leaves_the_tree_to_who_made_it(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "odometry"):
        tree, found = Tree(peer), listen(peer)
        sender = peer.create_publisher(Odometry, "odom", 10)
        wait_for(lambda: peer.image_out.get_subscription_count(), "the node")
        wait_for(lambda: sender.get_subscription_count(), "the node")
        wait_for(lambda: "/slam_node" in peer.status, "the node")
        sender.publish(odometry_message(pose(x=1.0).numpy(), ns_to_stamp(SECOND), "map", OPTICAL))
        peer.wait_processed(send_without_pose(peer, 1.0))
        wait_for(lambda: found, "odometry of the camera", 5.0)
        np.testing.assert_allclose(pose_to_matrix(found[-1].pose.pose), pose(x=1.0).numpy())
        assert tree.edges == {}


def test_a_child_frame_that_tf_does_not_know_is_named(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "odometry") as node:
        said = sentences(node, monkeypatch)
        sender = peer.create_publisher(Odometry, "odom", 10)
        wait_for(lambda: peer.image_out.get_subscription_count(), "the node")
        wait_for(lambda: sender.get_subscription_count(), "the node")
        wait_for(lambda: "/slam_node" in peer.status, "the node")
        sender.publish(odometry_message(np.eye(4), ns_to_stamp(SECOND), "odom", "left_wheel"))
        peer.wait_processed(send_without_pose(peer, 1.0))
        for part in ("'left_wheel'", OPTICAL, "expected", "static transform"):
            assert part in said[0]


def test_a_pose_topic_that_stops_is_said_and_costs_only_its_frames(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic") as node:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        peer.wait_processed(send_without_pose(peer, 2.0))
        wait_for(lambda: peer.problems() == {"no_pose": 1}, "the count", 5.0)
        peer.send_good(3.0, x=0.2)
        assert node.camera_input.frames == 2


def test_refinement_corrects_map_to_odom(ros_domain: int) -> None:
    config = Config().with_values({"pose.source": "odometry"})
    with peer_in(ros_domain) as peer:
        tree = Tree(peer)
        output = TrajectoryOutput(peer, config)
        wait_for(lambda: peer.count_subscribers("/tf") >= 2, "the listener")
        given, refined = pose(x=1.0).numpy(), pose(x=1.25, yaw_deg=10.0).numpy()
        output.publish(SECOND, OPTICAL, refined, given)
        wait_for(lambda: tree.edges, "TF", 5.0)
        assert list(tree.edges) == [("map", "odom")]
        np.testing.assert_allclose(tree.edges["map", "odom"] @ given, refined, atol=1e-12)


def test_stated_covariance() -> None:
    msg = PoseWithCovarianceStamped()
    assert covariance_to_sigma(msg.pose.covariance) is None
    for axis, variance in enumerate((0.01, 0.04, 0.04, 0.0004, 0.0004, 0.0004)):
        msg.pose.covariance[7 * axis] = variance
    sigma = covariance_to_sigma(msg.pose.covariance)
    assert sigma == pytest.approx((np.sqrt(0.03), 0.02))
    msg.pose.covariance[0] = -1.0
    assert covariance_to_sigma(msg.pose.covariance) is None


def test_poses_with_covariance_are_taken_from_their_own_topic(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, slam(ros_domain, "topic") as node:
        sender = peer.create_publisher(
            PoseWithCovarianceStamped, "camera/pose_with_covariance", 10
        )
        peer.wait_for_slam("slam_node")
        wait_for(lambda: sender.get_subscription_count(), "the node")
        image, info, depth, at = peer.messages(1.0, x=0.5)
        msg = PoseWithCovarianceStamped(header=at.header)
        msg.pose.pose = at.pose
        msg.pose.covariance[::7] = [0.0001] * 6
        sender.publish(msg)
        peer.wait_processed(peer.send(image, info, depth, None))
        assert node.camera_input.frames == 1
        assert node.camera_input._poses.sigma == pytest.approx((0.01, 0.01))
