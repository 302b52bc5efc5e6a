"""Which parameters the launched nodes have: presets, then params_file, then arguments given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch_ros", reason="launch is not on PyPI; a ROS 2 installation has it")

from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python

from nodes.ros2_launch import launched, wait_until_gone
from nodes.ros_peer import Peer, peer_in, wait_for

# A file as people write it: nested, for every node or for one.
FILE = """\
{section}:
  ros__parameters:
    pose:
      source: odometry
    depth:
      source: motion_stereo
    runtime:
      output: {folder}
      viewer: none
    map:
      max_surfels: 123456
"""
NAMES = ["pose.source", "depth.source", "runtime.output", "map.max_surfels", "frames.camera"]


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    with peer_in(ros_domain) as made:
        yield made


def parameters(peer: Peer, node: str, names: list[str]) -> list[object]:
    client = peer.create_client(GetParameters, f"/{node}/get_parameters")
    assert client.wait_for_service(60.0), f"{node} did not start"
    future = client.call_async(GetParameters.Request(names=names))
    wait_for(future.done, f"parameters of {node}", 20.0)
    return [parameter_value_to_python(value) for value in future.result().values]


@pytest.mark.parametrize("section", ["/**", "slam_node"])
def test_a_params_file_beats_what_nobody_gave(peer: Peer, tmp_path: Path, section: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(FILE.format(section=section, folder=tmp_path))
    with launched("live_camera", {"params_file": file}, tmp_path) as launch:
        found = parameters(peer, "slam_node", NAMES)
        # The last one is of config/live.yaml, which the file does not name.
        assert found == ["odometry", "motion_stereo", str(tmp_path), 123456, ""]
        assert launch.interrupt() == 0, launch.output
        wait_until_gone(launch)


@pytest.mark.parametrize("section", ["/**", "slam_node"])
def test_an_argument_beats_the_params_file(peer: Peer, tmp_path: Path, section: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(FILE.format(section=section, folder="/nowhere"))
    arguments = {"params_file": file, "pose_source": "topic", "output": tmp_path}
    with launched("live_camera", arguments, tmp_path):
        found = parameters(peer, "slam_node", NAMES)
        assert found == ["topic", "motion_stereo", str(tmp_path), 123456, ""]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["tf", "sensor"]),
        ({"depth_topic": "none"}, ["visual", "network"]),
        ({"depth_source": "network"}, ["visual", "network"]),
        ({"depth_source": "network", "pose_source": "tf"}, ["tf", "network"]),
    ],
)
def test_a_plain_camera_needs_no_pose_source(
    peer: Peer, tmp_path: Path, arguments: dict[str, object], expected: list[object]
) -> None:
    with launched("live_camera", arguments, tmp_path):
        assert parameters(peer, "slam_node", ["pose.source", "depth.source"]) == expected


def test_the_file_counts_for_every_split_node(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(FILE.format(section="/**", folder=tmp_path))
    with launched("distributed", {"params_file": file, "offline": "true"}, tmp_path):
        names = ["pose.source", "depth.source", "runtime.offline", "use_sim_time"]
        for node in ("keyframe_node", "depth_node", "mapper_node"):
            assert parameters(peer, node, names) == ["odometry", "motion_stereo", True, False]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "params_file"), ("- no\n- names\n", "ros__parameters"), ("a: {", "ros__parameters")],
)
def test_a_params_file_that_is_none_ends_the_launch_with_the_reason(
    ros_domain: int, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "my.yaml"
    if content is not None:
        file.write_text(content)
    with launched("live_camera", {"params_file": file}, tmp_path) as launch:
        assert launch.wait() == 1
        assert said in launch.output and str(file) in launch.output
        wait_until_gone(launch)
