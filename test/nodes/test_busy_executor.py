"""A node that is slower than its camera: it drops images, and finds the poses of the others."""

from __future__ import annotations

import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.live_transforms import live_transforms
from e2e_slam_ros.nodes.pose_messages import transform_message
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, Peer, peer_in, wait_for
from nodes.test_resets import spinning

FRAMES, SLOW_S = 60, 0.1


def slow_down(node: SlamNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each frame take longer than the time to the next one."""
    handed_on = node.camera_input._pass_on

    def slowly(*arguments: object) -> None:
        time.sleep(SLOW_S)
        handed_on(*arguments)

    monkeypatch.setattr(node.camera_input, "_pass_on", slowly)


def place(moving: TransformBroadcaster, second: float) -> None:
    """Send a pose of the base."""
    stamp = ns_to_stamp(round(second * 1e9))
    moving.sendTransform(transform_message(np.eye(4), stamp, "odom", "base"))


def send(peer: Peer, moving: TransformBroadcaster | None) -> None:
    """Send images at 30 Hz with five poses each."""
    begun = time.time()
    for index in range(5 * FRAMES):
        second = begun + index / 150
        time.sleep(max(0.0, second - time.time()))
        image, info, depth, pose = peer.messages(second)
        if moving is None:
            peer.pose_out.publish(pose)
        else:
            place(moving, second)
        if index % 5 == 4:
            peer.send(image, info, depth, None)


@pytest.mark.parametrize("source", ["topic", "tf"])
def test_poses_do_not_fall_behind_the_images(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    config = Config().with_values({"pose.source": source, "pose.refine": "off"})
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        peer.wait_for_slam("slam_node") if source == "topic" else wait_for(
            lambda: peer.image_out.get_subscription_count() and peer.count_subscribers("/tf") > 1,
            "the node",
        )
        slow_down(node, monkeypatch)
        moving = None if source == "topic" else TransformBroadcaster(peer)
        static = StaticTransformBroadcaster(peer)
        static.sendTransform(transform_message(np.eye(4), Time(), "base", OPTICAL))
        parents = live_transforms(node).parents
        wait_for(lambda: OPTICAL in parents, "the mount")

        def heard() -> bool:  # the first poses may come before the node listens
            if moving is not None:
                place(moving, time.time())
            return moving is None or "base" in parents

        wait_for(heard, "the base")
        send(peer, moving)
        wait_for(lambda: not node.camera_input.acknowledger.open_stamps(), "the last frame")
        found = node.diagnostics.problems.totals().get("no_pose", 0)
        frames = node.camera_input.frames
        assert frames > 5 and found <= 2, f"{found} images without a pose, {frames} with one"
