from __future__ import annotations

from collections.abc import Iterator

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from e2e_slam_ros.nodes.silence_watch import SilenceWatch
from nodes.ros_peer import wait_for


@pytest.fixture
def node(ros_domain: int) -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=ros_domain)
    made = Node("watched", context=context)
    yield made
    made.destroy_node()
    context.try_shutdown()


def watch(node: Node, said: list[str], limit_s: float = 1e-3) -> SilenceWatch:
    return SilenceWatch(node, "camera/image_raw", True, limit_s, said.append)


def test_a_missing_publisher_is_named_once_for_each_silence(node: Node) -> None:
    said: list[str] = []
    silence = watch(node, said)
    wait_for(lambda: silence.check() or said, "a report", 2.0)
    silence.check()
    assert len(said) == 1 and "nobody publishes /camera/image_raw" in said[0]
    silence.heard()
    wait_for(lambda: silence.check() or len(said) == 2, "a second report", 2.0)


def test_the_offending_qos_policy_is_named(node: Node) -> None:
    node.create_publisher(Image, "camera/image_raw", qos_profile_sensor_data)
    silence = watch(node, [])
    wait_for(lambda: "RELIABILITY" in silence.reason(), silence.reason, 5.0)
    assert "best_effort" in silence.reason()
    node.create_publisher(Image, "camera/image_raw", 10)
    wait_for(lambda: "sends nothing" in silence.reason(), silence.reason, 5.0)


def test_a_topic_of_another_type_is_named(node: Node) -> None:
    node.create_publisher(CameraInfo, "camera/image_raw", 10)
    silence = watch(node, [])
    wait_for(lambda: "CameraInfo" in silence.reason(), silence.reason, 5.0)


def test_zero_turns_it_off(node: Node) -> None:
    said: list[str] = []
    silence = watch(node, said, limit_s=0.0)
    silence.check()
    assert not said
