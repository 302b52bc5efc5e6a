"""What ROS users expect to find: a grid for planners, a status, help, names that say it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from nav_msgs.msg import OccupancyGrid
from std_msgs.msg import String

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.qos import latched
from e2e_slam_ros.nodes.slam_node import SlamNode
from nodes.ros_peer import KeyframeSender, Peer, peer_in, running, wait_for
from nodes.test_resets import spinning

# The wall of the synthetic world stands 2 m along z: it is the floor of the grid, seen from above.
FLOOR = {
    "grid.floor": "fixed",
    "grid.floor_m": 1.5,
    "grid.period_s": 0.1,
    "grid.min_confidence": 0.0,
}


def latest(peer: Peer, kind: type, topic: str) -> list:
    found: list = []
    peer.create_subscription(kind, topic, found.append, latched())
    return found


def cells(grid: OccupancyGrid) -> set[int]:
    return set(np.unique(np.array(grid.data, np.int8)).tolist())


def test_the_grid_is_latched_follows_the_map_and_its_parameters(ros_domain: int) -> None:
    config = Config().with_values(FLOOR)
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        # Who comes late gets it too.
        grids = latest(peer, OccupancyGrid, "grid")
        wait_for(lambda: grids, "the grid")
        grid = grids[-1]
        assert grid.header.frame_id == "map" and grid.header.stamp.sec == 1
        assert grid.info.resolution == pytest.approx(0.05)
        assert len(grid.data) == grid.info.width * grid.info.height > 100
        assert grid.info.origin.position.z == pytest.approx(1.5)
        assert 100 in cells(grid), "half a metre above the floor: an obstacle"
        width = grid.info.width
        peer.send_good(2.0, x=1.0)
        wait_for(lambda: grids[-1].info.width > width, "the larger grid")
        assert peer.call("/slam_node/reset").success
        wait_for(lambda: grids[-1].info.width == 0, "the empty grid")
        assert node.diagnostics.problems.totals() == {}


def test_mapper_node_has_the_same_grid(ros_domain: int, tmp_path: object) -> None:
    with peer_in(ros_domain) as peer, running(tmp_path, [("mapper_node", FLOOR)]):
        grids, sender = latest(peer, OccupancyGrid, "grid"), KeyframeSender(peer)
        sender.wait_for_mapper()
        sender.send(0)
        wait_for(lambda: grids and 100 in cells(grids[-1]), "the grid")


def test_the_status_is_one_line_of_json(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain) as node:
        found = latest(peer, String, "slam_node/status")
        peer.wait_for_slam("slam_node")
        wait_for(lambda: found, "the status")
        assert json.loads(found[-1].data)["state"] == "waiting for frames"
        peer.send_good(1.0)
        wait_for(lambda: json.loads(found[-1].data)["keyframes"] == 1, "a keyframe")
        said = json.loads(found[-1].data)
        assert said["state"] == "tracking" and said["surfels"] == len(node.pipeline.surfels)
        keys = {"frames", "loops", "poses", "scale_source", "scale_sigma", "folder"}
        assert keys | {"unsaved_keyframes"} <= set(said)
        node._pause()
        wait_for(lambda: json.loads(found[-1].data)["state"] == "paused", "the pause")


def executed(node: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"e2e_slam_ros.nodes.{node}", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | environment
    )


NODES = ("slam_node", "keyframe_node", "depth_node", "mapper_node", "dataset_player", "bag_player")


@pytest.mark.parametrize("node", NODES)
def test_help_names_the_parameters_and_starts_nothing(node: str) -> None:
    done = executed(node, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"usage: {node} [--ros-args")
    named = "rate:=1.0" if node.endswith("player") else "depth.source:=sensor"
    assert f"\n  {named}\n" in done.stdout


def test_words_that_nobody_understands_are_refused() -> None:
    done = executed("slam_node", "depth.source:=network")
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "'depth.source:=network'" in line and "--ros-args -p depth.source:=network" in line


ENFORCED = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


@pytest.mark.parametrize("node", ["slam_node", "bag_player"])
@pytest.mark.parametrize("keystore", ["", "/nowhere/keys"])
def test_enforced_security_without_keys_is_one_line(
    ros_domain: int, node: str, keystore: str
) -> None:
    done = executed(node, **ENFORCED, ROS_SECURITY_KEYSTORE=keystore)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("e2e_slam_ros: ROS security: got ")
    for part in (keystore, "expected a keystore", "ROS_SECURITY_KEYSTORE", "ROS_SECURITY_ENABLE"):
        assert part in line


def test_ros_arguments_that_ros_refuses_are_one_line(ros_domain: int) -> None:
    done = executed("slam_node", "--ros-args", "-p", "depth.source")
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("e2e_slam_ros: ")]
    assert done.returncode == 1 and "start of ROS: got" in line and "--ros-args" in line
    assert "Traceback" not in done.stderr
