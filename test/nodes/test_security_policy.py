"""The SROS 2 policy allows what the nodes do, and is the one that its script writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.nodes import replay
from nodes.node_graph import NodeGraph, node_graph
from nodes.real_bag import TOPICS, write_bag
from nodes.ros_peer import REPO, peer_in, running

POLICY = REPO / "config" / "sros2" / "e2e_slam_ros.policy.xml"
# Settings that change what a node talks to.
SETTINGS: list[tuple[str, dict[str, object]]] = [
    ("slam_node", {}),
    ("slam_node", {"pose.source": "odometry", "depth.source": "network"}),
    ("slam_node", {"pose.source": "visual", "camera.transport": "compressed"}),
    ("keyframe_node", {"depth.source": "sensor", "use_sim_time": True}),
    ("depth_node", {"depth.source": "sensor"}),
    ("mapper_node", {}),
    ("dataset_player", {"lockstep": True, "progress": False}),
]


def allowed(enclave: str, node: str) -> dict[str, set[str]]:
    """What an enclave allows a node, absolute names."""
    root = ElementTree.parse(POLICY).getroot()
    found: dict[str, set[str]] = {}
    for profile in root.findall(f"enclaves/enclave[@path='/e2e_slam_ros/{enclave}']/profiles/*"):
        if profile.get("node") != node:
            continue
        assert profile.get("ns") == "/"
        for group in profile:
            for right, word in group.items():
                assert word == "ALLOW"
                names = {str(item.text) for item in group}
                found.setdefault(right, set()).update("/" + name.lstrip("/") for name in names)
    return found


def assert_allowed(graph: NodeGraph, rights: dict[str, set[str]]) -> None:
    for right in ("publish", "subscribe", "reply", "request"):
        used = getattr(graph, right)
        assert used <= rights.get(right, set()), f"{right}: {used - rights.get(right, set())}"


def test_the_file_is_written_by_its_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO / "tools"))
    sys.modules.pop("sros2_policy", None)
    import sros2_policy

    assert POLICY.read_text() == sros2_policy.policy(), "run tools/sros2_policy.py"


@pytest.mark.parametrize(
    ("node", "settings"), SETTINGS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_policy_allows_what_the_running_node_does(
    node: str, settings: dict[str, object], ros_domain: int, tmp_path: Path, shared_data: Path
) -> None:
    data: dict[str, Any] = {"data": shared_data / "hololens" / "rooms_000"}
    given = settings | (data if node == "dataset_player" else {})
    with peer_in(ros_domain) as peer, running(tmp_path, [(node, given)]) as (process,):
        graph = node_graph(peer, process)
    assert f"/{node}/get_parameters" in graph.reply and "/rosout" in graph.publish
    assert_allowed(graph, allowed(node, node))


def test_the_policy_allows_what_the_bag_player_does_beside_its_bag(
    ros_domain: int, tmp_path: Path, shared_data: Path
) -> None:
    reader = TumReader(shared_data / "hololens" / "rooms_000")
    bag = write_bag(tmp_path / "bag", [reader[index] for index in range(2)])
    given = ("bag_player", {"bag": bag, "rate": 0.005})
    with peer_in(ros_domain) as peer, running(tmp_path, [given]) as (process,):
        graph = node_graph(peer, process)
    rights = allowed("bag_player", "bag_player")
    rights["publish"] |= set(TOPICS.values())
    assert_allowed(graph, rights)


def test_the_enclave_of_the_computer_is_that_of_both_its_nodes() -> None:
    for node in ("depth_node", "mapper_node"):
        assert allowed("computer", node) == allowed(node, node)


@pytest.mark.parametrize(("given", "used"), [(None, "LOCALHOST"), ("SUBNET", "SUBNET")])
def test_a_replay_stays_on_this_machine_unless_told(
    given: str | None, used: str, ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, seen = "ROS_AUTOMATIC_DISCOVERY_RANGE", []
    # Set first, so that what the replay sets is taken back at the end.
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)

    def no_start(*_: object) -> None:
        seen.append(os.environ[name])
        raise E2ESlamError("far enough")

    monkeypatch.setattr(replay, "start_ros", no_start)
    with pytest.raises(E2ESlamError, match="far enough"):
        replay.run_replay(NoFrames(), Config(), lockstep=True)
    assert seen == [used]


class NoFrames:
    """No frames."""

    name = "none"
    report = ReaderReport()

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Frame:
        raise IndexError(index)

    def __iter__(self) -> Iterator[Frame]:
        return iter(())
