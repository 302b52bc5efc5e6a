"""The life cycle in launch files: events drive the nodes, and one that hangs is noticed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch_ros", reason="launch is not on PyPI; a ROS 2 installation has it")

from nodes.ros2_launch import Launch, launched, process_of, wait_until_gone
from nodes.ros_peer import Peer, peer_in, wait_for
from nodes.test_life_cycle import state

# What somebody writes who starts the driver first, and the mapper when it is there.
EVENTS = """\
from launch import LaunchDescription
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.events.matchers import matches_node_name
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition


def change(transition):
    slam = matches_node_name("/slam_node")
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=slam, transition_id=transition))


def generate_launch_description():
    folder = PathJoinSubstitution([FindPackageShare("e2e_slam_ros"), "launch"])
    ours = PathJoinSubstitution([folder, "live_camera.launch.py"])
    arguments = {"autostart": "false", "pose_source": "topic", "depth_topic": "/depth",
                 "image_topic": "/image", "camera_info_topic": "/info"}
    configured = OnStateTransition(
        goal_state="inactive", entities=[change(Transition.TRANSITION_ACTIVATE)]
    )
    return LaunchDescription([
        RegisterEventHandler(configured),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(ours), launch_arguments=arguments.items()
        ),
        change(Transition.TRANSITION_CONFIGURE),
    ])
"""


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    with peer_in(ros_domain) as made:
        yield made


def wait_until_watched(launch: Launch, *nodes: str) -> None:
    for node in nodes:
        said = f"/{node} answers, and is watched"
        wait_for(lambda said=said: said in launch.output, said)


def test_launch_events_drive_a_node(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / "mine.launch.py"
    file.write_text(EVENTS)
    with launched(file, {}, tmp_path) as launch:
        wait_for(lambda: peer.status.get("/slam_node", {}).get("state") == "active", "slam_node")
        assert state(peer, "slam_node") == "active"
        assert launch.interrupt() == 0, launch.output
        wait_until_gone(launch)


def test_a_node_that_hangs_is_started_again(peer: Peer, tmp_path: Path) -> None:
    arguments = {"respawn": "true", "pose_source": "topic", "watch_s": 4}
    nodes = ("keyframe_node", "depth_node", "mapper_node")
    with launched("distributed", arguments, tmp_path) as launch:
        peer.wait_for_slam(*nodes)
        wait_until_watched(launch, *nodes)
        wait_for(lambda: peer.count_subscribers("keyframe/depth") >= 3, "the stages")
        peer.send_good(1.0)
        first = process_of(launch, "depth_node")
        os.kill(first, signal.SIGSTOP)
        # It has no depth before the node is there again.
        stamp_ns = peer.send(*peer.messages(2.0, x=0.5))
        wait_for(lambda: process_of(launch, "depth_node") != first, "the second depth_node")
        assert "got no answer of get_state for 4 s, expected one each second" in launch.output
        peer.wait_processed(stamp_ns)
        wait_for(lambda: peer.status["/mapper_node"]["keyframes"] == "2", "both keyframes")
        assert launch.interrupt() == 0, launch.output
        wait_until_gone(launch)


def test_a_node_that_hangs_ends_the_launch(peer: Peer, tmp_path: Path) -> None:
    with launched("live_camera", {"watch_s": 4}, tmp_path) as launch:
        wait_until_watched(launch, "slam_node")
        os.kill(process_of(launch, "slam_node"), signal.SIGSTOP)
        assert launch.wait() == 1, launch.output
        assert "it hangs and is killed" in launch.output
        wait_until_gone(launch)


@pytest.mark.parametrize("text", ["soon", "-1", "inf"])
def test_a_time_that_is_none_ends_the_launch(ros_domain: int, tmp_path: Path, text: str) -> None:
    with launched("live_camera", {"watch_s": text}, tmp_path) as launch:
        assert launch.wait() == 1
        assert "argument watch_s: got" in launch.output
        wait_until_gone(launch)


def test_launch_needs_no_keys_of_its_own(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "Enforce")
    monkeypatch.delenv("ROS_SECURITY_KEYSTORE", raising=False)
    with launched("live_camera", {}, tmp_path) as launch:
        assert launch.wait() == 1
        # The node says what is missing, and launch itself starts nothing of ROS.
        assert "ROS security: got no keystore" in launch.output, launch.output
        wait_until_gone(launch)
