"""Robots side by side, a node that comes back, and RViz that sees what the nodes see."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch_ros", reason="launch is not on PyPI; a ROS 2 installation has it")

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.nodes.qos import image_publisher, latched, reliable
from nodes.real_bag import write_bag
from nodes.ros2_launch import launched, process_of, wait_until_gone
from nodes.ros_peer import Peer, peer_in, wait_for
from nodes.test_life_cycle import ACTIVATE, CONFIGURE, change, state

DEPTH = "camera/aligned_depth_to_color/image_raw"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    with peer_in(ros_domain) as made:
        yield made


class Robot:
    """A camera in a namespace, with a driver's topic names, and what is heard of its slam_node."""

    def __init__(self, peer: Peer, name: str) -> None:
        self.name, self._peer = name, peer
        self.maps: list[PointCloud2] = []
        self.grids: list[OccupancyGrid] = []
        self.frames: set[tuple[str, str]] = set()
        qos = image_publisher()
        self._ends = (
            peer.create_publisher(Image, f"/{name}/camera/color/image_raw", qos),
            peer.create_publisher(CameraInfo, f"/{name}/camera/color/camera_info", qos),
            peer.create_publisher(Image, f"/{name}/{DEPTH}", qos),
            peer.create_publisher(PoseStamped, f"/{name}/camera/pose", reliable(100)),
        )
        peer.create_subscription(PointCloud2, f"/{name}/cloud_map", self.maps.append, latched())
        peer.create_subscription(OccupancyGrid, f"/{name}/grid", self.grids.append, latched())
        peer.create_subscription(TFMessage, f"/{name}/tf", self._on_tf, 100)

    def _on_tf(self, msg: TFMessage) -> None:
        self.frames |= {(one.header.frame_id, one.child_frame_id) for one in msg.transforms}

    def send(self, second: float) -> None:
        """Send a frame once slam_node listens to all of it."""
        node = f"/{self.name}/slam_node"
        wait_for(lambda: node in self._peer.status, f"{node}")
        wait_for(lambda: all(end.get_subscription_count() for end in self._ends), "the topics")
        image, info, depth, pose = self._peer.messages(second)
        pose.header.frame_id = f"{self.name}/map"
        for end, message in zip(self._ends, (image, info, depth, pose), strict=True):
            end.publish(message)


def test_two_robots_with_one_command_each(peer: Peer, tmp_path: Path) -> None:
    robots = [Robot(peer, name) for name in ("alice", "bob")]
    with ExitStack() as running:
        launches = []
        for robot in robots:
            arguments = {"namespace": robot.name, "pose_source": "topic"}
            arguments |= {"map_frame": f"{robot.name}/map", "output": tmp_path / robot.name}
            folder = tmp_path / f"launch_{robot.name}"
            folder.mkdir()
            launches.append(running.enter_context(launched("live_camera", arguments, folder)))
        for second, robot in enumerate(robots, 1):
            robot.send(float(second))
            wait_for(lambda robot=robot: robot.maps and robot.grids, f"the map of {robot.name}")
            assert robot.maps[-1].header.frame_id == f"{robot.name}/map"
            # Each saw its own image and nobody else's.
            assert robot.maps[-1].header.stamp.sec == second
            wait_for(lambda robot=robot: robot.frames, "TF in the namespace")
            assert robot.frames == {(f"{robot.name}/map", "camera_optical_frame")}
        assert peer.transforms == {}, "nothing on the global /tf"
        for launch, robot in zip(launches, robots, strict=True):
            assert launch.interrupt() == 0, launch.output
            wait_until_gone(launch)
            assert (tmp_path / robot.name / "map.ply").exists()


def test_a_node_that_is_killed_comes_back(peer: Peer, tmp_path: Path) -> None:
    arguments = {"respawn": "true", "output": tmp_path / "maps", "log_level": "warn"}
    with launched("live_camera", arguments, tmp_path) as launch:
        wait_for(lambda: "/slam_node" in peer.status, "slam_node")
        first = process_of(launch, "slam_node")
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: process_of(launch, "slam_node") != first, "the second one")
        peer.status.clear()
        wait_for(lambda: "/slam_node" in peer.status, "slam_node again")
        assert launch.interrupt() == 0, launch.output
        wait_until_gone(launch)
        assert "[slam_node]: mapping on" not in launch.output, "log_level"


def test_rviz_sees_the_topics_and_frames_that_the_nodes_see(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package rviz2 whose executable says how it was called.
    index = tmp_path / "prefix" / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rviz2").touch()
    executable = tmp_path / "prefix" / "lib" / "rviz2" / "rviz2"
    executable.parent.mkdir(parents=True)
    said = tmp_path / "called"
    executable.write_text(f'#!/bin/sh\necho "$*" > {said}\n')
    executable.chmod(0o755)
    known = os.environ["AMENT_PREFIX_PATH"]
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'prefix'}:{known}")
    arguments = {"rviz": "true", "image_topic": "/usb/image", "map_frame": "site"}
    with launched("live_camera", arguments, tmp_path) as launch:
        wait_for(lambda: said.exists() and said.read_text(), "rviz2")
        called = said.read_text()
        for part in ("-r camera/image_raw:=/usb/image", "-f site", "-r /tf:=tf", "slam.rviz"):
            assert part in called
        wait_for(lambda: "/slam_node" in peer.status, "slam_node goes on without the window")
        assert launch.interrupt() == 0, launch.output


@pytest.mark.parametrize("file", ["bag_replay", "distributed", "live_camera", "tum_replay"])
def test_the_map_can_be_watched_in_a_browser(
    ros_domain: int, tmp_path: Path, shared_data: Path, file: str
) -> None:
    pytest.importorskip("viser", reason="viser is optional and not installed")
    parameters = tmp_path / "my.yaml"
    port = free_port()
    # Nobody else's port.
    parameters.write_text(f"/**: {{ros__parameters: {{runtime: {{viewer_port: {port}}}}}}}")
    arguments: dict[str, object] = {"viewer": "web", "params_file": parameters}
    data = shared_data / "hololens" / "rooms_000"
    if file == "tum_replay":
        arguments |= {"data": data, "rate": 0.01}
    if file == "bag_replay":
        bag = write_bag(tmp_path / "walk", [TumReader(data)[0], TumReader(data)[1]])
        arguments |= {"bag": bag, "rate": 0.01}

    def page() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5.0) as answer:
                return answer.status == 200
        except OSError:
            return False

    with launched(file, arguments, tmp_path) as launch:
        wait_for(page, "the page")
        assert launch.interrupt() == 0, launch.output
        wait_until_gone(launch)


def test_a_life_cycle_manager_starts_the_nodes(peer: Peer, tmp_path: Path) -> None:
    nodes = ("keyframe_node", "depth_node", "mapper_node")
    with launched("distributed", {"autostart": "false"}, tmp_path) as launch:
        for node in nodes:
            assert state(peer, node) == "unconfigured"
            assert change(peer, node, CONFIGURE) and change(peer, node, ACTIVATE)
        peer.wait_for_slam(*nodes)
        wait_for(lambda: peer.count_subscribers("keyframe/depth") >= 3, "the stages")
        peer.send_good(1.0)
        wait_for(lambda: peer.maps and peer.maps[-1].width > 0, "the map")
        assert launch.interrupt() == 0, launch.output


def test_a_split_stage_that_is_killed_comes_back_and_gets_what_it_missed(
    peer: Peer, tmp_path: Path
) -> None:
    arguments = {"respawn": "true", "pose_source": "topic"}
    with launched("distributed", arguments, tmp_path) as launch:
        peer.wait_for_slam("keyframe_node", "depth_node", "mapper_node")
        wait_for(lambda: peer.count_subscribers("keyframe/depth") >= 3, "the stages")
        peer.send_good(1.0)
        wait_for(lambda: peer.maps, "the map")
        os.kill(process_of(launch, "depth_node"), signal.SIGKILL)
        # Nobody has depth for it: without its depth no stage answers.
        stamp_ns = peer.send(*peer.messages(2.0, x=0.5))
        peer.wait_processed(stamp_ns)
        keyframes = peer.status["/mapper_node"]["keyframes"]
        wait_for(lambda: peer.status["/mapper_node"]["keyframes"] == "2", f"{keyframes} + 1")
        assert launch.interrupt() == 0, launch.output
