from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from e2e_slam_ros.data.input_policy import select
from e2e_slam_ros.data.stream import IMAGE, stream_of_message
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


def test_in_lock_step_only_a_silence_before_the_first_image_is_named(node: Node) -> None:
    said: list[str] = []
    silence = SilenceWatch(node, "camera/image_raw", True, 1e-3, said.append, first_only=True)
    wait_for(lambda: silence.check() or said, "a report", 2.0)
    silence.heard()
    for _ in range(5):
        time.sleep(2e-3)
        silence.check()
    assert len(said) == 1


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


def image(encoding: str, size: int, frame: str) -> Image:
    message = Image(width=4, height=3, encoding=encoding, step=4 * size)
    message.header.frame_id = frame
    message.data = [0] * (12 * size)
    return message


def test_topics_that_would_fit_are_named_by_the_policy_of_recordings(node: Node) -> None:
    """The same sentences and points as for a bag with these topics."""
    topics = {
        "/front/color/image_raw": ("rgb8", 3, "front_color_optical_frame"),
        "/front/depth/image_raw": ("16UC1", 2, "front_color_optical_frame"),
        "/front/infra1/image_raw": ("mono8", 1, "front_infra1_optical_frame"),
    }
    outs = {
        name: (node.create_publisher(Image, name, qos_profile_sensor_data), image(*parts))
        for name, parts in topics.items()
    }
    node.create_publisher(Image, "/front/empty", 10)
    said: list[str] = []
    silence = watch(node, said)
    wait_for(lambda: len(node.get_topic_names_and_types()) > 4, "the graph", 5.0)

    def spin() -> bool:
        silence.check()
        for out, message in outs.values():
            out.publish(message)
        rclpy.spin_once(node, executor=executor, timeout_sec=0.05)
        return bool(said)

    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    wait_for(spin, "a report", 20.0)
    report = said[0]
    streams = [stream_of_message(name, IMAGE, message) for name, (_, message) in outs.items()]
    for sentence in select(streams).sentences():
        assert sentence in report, report
    assert "colour = /front/color/image_raw (rgb8, front_color_optical_frame; 160" in report
    assert "depth = /front/depth/image_raw (16UC1" in report
    assert "not taken: /front/infra1/image_raw" in report
    assert "not judged: /front/empty sends nothing" in report
    assert "-r camera/image_raw:=/front/color/image_raw" in report
    assert "-r camera/camera_info:=/front/color/camera_info" in report
    wait_for(
        lambda: not any(node.count_subscribers(name) for name in topics),
        "the end of the subscriptions",
        5.0,
    )
