"""README's commands leave a map, whatever ends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch_ros", reason="launch is not on PyPI; a ROS 2 installation has it")

from e2e_slam_ros.mapping.ply import read_ply
from nodes.ros2_launch import launched, wait_until_gone
from nodes.ros_peer import Peer, peer_in

CAMERA_TOPICS = {
    "image_topic": "camera/image_raw",
    "camera_info_topic": "camera/camera_info",
    "depth_topic": "camera/depth/image_raw",
    "pose_topic": "camera/pose",
    "pose_source": "topic",
}


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    with peer_in(ros_domain) as made:
        yield made


def saved_map(home: Path, said: str) -> Path:
    """The one map below ROS_HOME, whose path was said."""
    (cloud,) = (home / "e2e_slam").glob("*/map.ply")
    assert len(read_ply(cloud)) > 1000 and str(cloud) in said
    return cloud


def test_a_folder_in_real_time_leaves_its_map(
    ros_domain: int, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "ros"))
    data = {"data": shared_data / "hololens" / "rooms_000", "frames": "0:6"}
    with launched("tum_replay", data, tmp_path) as launch:
        assert launch.wait() == 0, launch.output
        wait_until_gone(launch)
        saved_map(tmp_path / "ros", launch.output)


def test_ctrl_c_leaves_the_map_of_a_live_camera_to_go_on_with(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "ros"))
    with launched("live_camera", CAMERA_TOPICS, tmp_path) as launch:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        assert launch.interrupt() == 0, launch.output
        wait_until_gone(launch)
        first = saved_map(tmp_path / "ros", launch.output)
    peer.status.clear()
    more = {"resume": first.parent, "output": tmp_path / "second"}
    with launched("live_camera", CAMERA_TOPICS | more, tmp_path) as launch:
        peer.wait_for_slam("slam_node")
        peer.send_good(2.0, x=0.5)
        assert launch.interrupt() == 0, launch.output
        assert len(read_ply(tmp_path / "second" / "map.ply")) > len(read_ply(first))


def test_a_map_that_cannot_be_saved_is_the_exit_code_of_the_launch(
    peer: Peer, tmp_path: Path
) -> None:
    output = tmp_path / "file"
    output.write_text("no folder")
    with launched("live_camera", CAMERA_TOPICS | {"output": output}, tmp_path) as launch:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        assert launch.interrupt() == 1, launch.output
        assert "was not saved" in launch.output
        wait_until_gone(launch)
