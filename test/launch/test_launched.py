"""The launch files with ROS 2's own `launch`: one test a file and a service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
launch_pytest = pytest.importorskip(
    "launch_pytest", reason="launch_pytest is not on PyPI; a ROS 2 installation has it"
)

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from nodes.ros_peer import Peer, peer_in, wait_for

FILES = ("bag_replay", "distributed", "live_camera", "tum_replay")


def _share() -> Path:
    try:
        return Path(get_package_share_directory("e2e_slam_ros"))
    except PackageNotFoundError:
        pytest.skip("e2e_slam_ros is not built and sourced: colcon build, then install/setup.sh")


def _included(name: str, arguments: dict[str, str]) -> LaunchDescription:
    source = PythonLaunchDescriptionSource(str(_share() / "launch" / f"{name}.launch.py"))
    include = IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))
    return LaunchDescription([include, launch_pytest.actions.ReadyToTest()])


@pytest.mark.parametrize("name", FILES)
def test_every_argument_is_shown_with_its_meaning(name: str) -> None:
    source = PythonLaunchDescriptionSource(str(_share() / "launch" / f"{name}.launch.py"))
    from launch import LaunchContext

    arguments = source.get_launch_description(LaunchContext()).get_launch_arguments()
    assert arguments and all(a.description for a in arguments)


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    with peer_in(ros_domain) as made:
        yield made


@launch_pytest.fixture
def camera(ros_domain: int, tmp_path: Path) -> LaunchDescription:
    topics = {
        "image_topic": "camera/image_raw",
        "camera_info_topic": "camera/camera_info",
        "depth_topic": "camera/depth/image_raw",
        "pose_topic": "camera/pose",
    }
    arguments = topics | {"pose_source": "topic", "output": str(tmp_path)}
    return _included("live_camera", arguments)


@pytest.mark.launch(fixture=camera)
def test_a_live_camera_is_mapped_saved_paused_and_reset(peer: Peer, tmp_path: Path) -> None:
    peer.wait_for_slam("slam_node")
    peer.send_good(1.0)
    saved = peer.call("/slam_node/save_map")
    assert saved.success and saved.message == str(tmp_path / "map.ply")
    assert peer.call("/slam_node/pause").success
    assert peer.call("/slam_node/resume").success
    peer.send_good(2.0, x=0.2)
    assert peer.call("/slam_node/reset").success


@launch_pytest.fixture
def folder(ros_domain: int, shared_data: Path, tmp_path: Path) -> LaunchDescription:
    data = str(shared_data / "hololens" / "rooms_000")
    arguments = {"data": data, "frames": "0:6", "lockstep": "true", "output": str(tmp_path)}
    return _included("tum_replay", arguments)


@pytest.mark.launch(fixture=folder)
def test_a_folder_is_replayed_and_its_map_saved_at_the_end(tmp_path: Path) -> None:
    wait_for((tmp_path / "map.ply").exists, "the saved map")


@launch_pytest.fixture
def split(ros_domain: int) -> LaunchDescription:
    return _included("distributed", {"offline": "true"})


@pytest.mark.launch(fixture=split)
def test_the_split_nodes_make_a_map(peer: Peer) -> None:
    peer.wait_for_slam("keyframe_node", "depth_node", "mapper_node")
    topics = {"keyframe/image": 3, "keyframe/sensor_depth": 1, "keyframe/depth": 3}
    wait_for(
        lambda: all(peer.count_subscribers(topic) >= n for topic, n in topics.items()),
        "the nodes to find each other",
    )
    time.sleep(1.0)
    peer.send_good(1.0)
    wait_for(lambda: peer.maps and peer.maps[-1].width > 0, "the map")
