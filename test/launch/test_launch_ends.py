"""Recordings are played whole, and a launch ends with the first of its parts that fails."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch_ros", reason="launch is not on PyPI; a ROS 2 installation has it")

from rosbags.rosbag2 import StoragePlugin

from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.mapping.map_checkpoint import read_checkpoint
from nodes.real_bag import write_bag
from nodes.ros2_launch import launched, process_of, wait_until_gone
from nodes.ros_peer import Peer, peer_in, wait_for

FRAMES = 8


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    with peer_in(ros_domain) as made:
        yield made


@pytest.fixture
def bag(shared_data: Path, tmp_path: Path) -> Path:
    reader = TumReader(shared_data / "hololens" / "rooms_000")
    return write_bag(tmp_path / "walk", [reader[index] for index in range(FRAMES)])


# Reliable, and every frame a keyframe: what is missing was lost before anybody listened.
EVERY_FRAME = """\
/**:
  ros__parameters:
    runtime:
      offline: true
    keyframe:
      parallax: 0.0
      min_sharpness: 0.0
"""


def test_a_bag_is_played_whole_and_its_map_is_saved(
    ros_domain: int, bag: Path, tmp_path: Path
) -> None:
    file, maps = tmp_path / "my.yaml", tmp_path / "maps"
    file.write_text(EVERY_FRAME)
    # 0.7 seconds of recording: much shorter than the start of slam_node.
    arguments = {"bag": bag, "output": maps, "params_file": file}
    with launched("bag_replay", arguments, tmp_path) as launch:
        assert launch.wait() == 0, launch.output
        wait_until_gone(launch)
        assert f"played {4 * FRAMES} messages of walk" in launch.output
        assert str(maps / "map.ply") in launch.output
        assert read_checkpoint(maps / "map.safetensors", 10**9).fusions == FRAMES


def no_bag(tmp_path: Path) -> tuple[str, dict[str, object], str]:
    return "bag_replay", {"bag": tmp_path / "nowhere"}, str(tmp_path / "nowhere")


def no_images(tmp_path: Path) -> tuple[str, dict[str, object], str]:
    from rosbags.rosbag2 import Writer

    with Writer(tmp_path / "empty", version=9, storage_plugin=StoragePlugin.SQLITE3):
        pass
    return "bag_replay", {"bag": tmp_path / "empty"}, "no topic /camera/color/image_raw"


def no_folder(tmp_path: Path) -> tuple[str, dict[str, object], str]:
    return "tum_replay", {"data": tmp_path / "nowhere"}, str(tmp_path / "nowhere")


def no_rviz(tmp_path: Path) -> tuple[str, dict[str, object], str]:
    return "live_camera", {"rviz": "true"}, "no package rviz2"


def bad_choice(tmp_path: Path) -> tuple[str, dict[str, object], str]:
    return "live_camera", {"depth_source": "lidar"}, "parameter depth.source: got 'lidar'"


def bad_place(tmp_path: Path) -> tuple[str, dict[str, object], str]:
    return "distributed", {"where": "moon"}, "robot or computer"


@pytest.mark.parametrize("case", [no_bag, no_images, no_folder, no_rviz, bad_choice, bad_place])
def test_a_part_that_cannot_start_fails_the_launch_and_leaves_nothing_running(
    ros_domain: int, tmp_path: Path, case: object
) -> None:
    from ament_index_python.packages import get_packages_with_prefixes

    if case is no_rviz and "rviz2" in get_packages_with_prefixes():
        pytest.skip("rviz2 is installed here")
    file, arguments, said = case(tmp_path)  # type: ignore[operator]
    with launched(file, arguments, tmp_path) as launch:
        assert launch.wait() == 1
        assert said in launch.output
        wait_until_gone(launch)


@pytest.mark.parametrize(
    ("file", "victim", "others"),
    [
        ("distributed", "depth_node", ("keyframe_node", "mapper_node")),
        ("tum_replay", "slam_node", ("dataset_player",)),
    ],
)
def test_a_part_that_is_killed_ends_the_others(
    peer: Peer, shared_data: Path, tmp_path: Path, file: str, victim: str, others: tuple[str, ...]
) -> None:
    data = {"data": shared_data / "hololens" / "rooms_000", "rate": "0.1"}
    arguments = data if file == "tum_replay" else {}
    with launched(file, arguments, tmp_path) as launch:
        node = "dataset_player" if file == "tum_replay" else "mapper_node"
        wait_for(lambda: f"/{victim}" in peer.status, f"{victim} to start")
        wait_for(lambda: node in peer.get_node_names(), f"{node} to start")
        os.kill(process_of(launch, victim), signal.SIGKILL)
        assert launch.wait() == 1, launch.output
        assert f"{victim}: got exit code -9" in launch.output
        wait_until_gone(launch)
        for other in others:
            assert re.search(rf"{other}-\d\]: process has finished cleanly", launch.output)
