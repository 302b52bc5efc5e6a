"""Managed nodes: a life cycle manager decides when they load, work, rest and forget."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState

from e2e_slam_ros.config import Config
from e2e_slam_ros.mapping.ply import read_ply
from e2e_slam_ros.nodes.slam_node import SlamNode
from nodes.ros_peer import Peer, peer_in, running, wait_for
from nodes.test_resets import spinning

CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP
SHUTDOWN = Transition.TRANSITION_UNCONFIGURED_SHUTDOWN
MANAGED = {"runtime.autostart": False}


def change(peer: Peer, node: str, transition: int) -> bool:
    client = peer.create_client(ChangeState, f"/{node}/change_state")
    assert client.wait_for_service(60.0), f"{node} did not start"
    request = ChangeState.Request()
    request.transition.id = transition
    future = client.call_async(request)
    wait_for(future.done, f"transition {transition} of {node}")
    return bool(future.result().success)


def state(peer: Peer, node: str) -> str:
    client = peer.create_client(GetState, f"/{node}/get_state")
    assert client.wait_for_service(60.0), f"{node} did not start"
    future = client.call_async(GetState.Request())
    wait_for(future.done, f"state of {node}")
    return str(future.result().current_state.label)


def test_a_manager_drives_slam_node_through_its_life(ros_domain: int, tmp_path: Path) -> None:
    settings = MANAGED | {"runtime.output": tmp_path / "maps", "runtime.silence_s": 0.0}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (end,):
        assert state(peer, "slam_node") == "unconfigured"
        wait_for(
            lambda: peer.status.get("/slam_node", {}).get("state") == "unconfigured", "the report"
        )
        assert peer.image_out.get_subscription_count() == 0
        assert change(peer, "slam_node", CONFIGURE)
        assert state(peer, "slam_node") == "inactive"
        wait_for(peer.image_out.get_subscription_count, "the subscription")
        ignored = peer.send(*peer.messages(1.0))
        assert change(peer, "slam_node", ACTIVATE)
        peer.wait_for_slam("slam_node")
        peer.send_good(2.0)
        assert ignored not in peer.processed
        wait_for(lambda: peer.maps and peer.maps[-1].width > 0, "the map")
        surfels = peer.maps[-1].width
        assert change(peer, "slam_node", DEACTIVATE) and change(peer, "slam_node", ACTIVATE)
        peer.send_good(3.0, x=0.5)
        wait_for(lambda: peer.maps[-1].width > surfels, "the map that was kept, and more")
        assert change(peer, "slam_node", DEACTIVATE) and change(peer, "slam_node", CLEANUP)
        assert state(peer, "slam_node") == "unconfigured"
        assert len(read_ply(tmp_path / "maps" / "map.ply")) > 0
        wait_for(lambda: peer.image_out.get_subscription_count() == 0, "nobody to listen")
        # And once more: a new map.
        assert change(peer, "slam_node", CONFIGURE) and change(peer, "slam_node", ACTIVATE)
        peer.maps.clear()
        peer.wait_for_slam("slam_node")
        peer.send_good(4.0)
        wait_for(lambda: peer.maps and peer.maps[-1].width == surfels, "the new map")
        assert change(peer, "slam_node", Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert end.wait() == 0, end.output
        assert "Traceback" not in end.output


def test_cleaning_up_frees_the_memory_and_the_topics(ros_domain: int) -> None:
    config = Config().with_values(MANAGED)
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        before = {name: len(list(getattr(node, name))) for name in ("publishers", "timers")}
        assert change(peer, "slam_node", CONFIGURE) and change(peer, "slam_node", ACTIVATE)
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        pipeline, surfels = weakref.ref(node.pipeline), weakref.ref(node.pipeline.surfels)
        assert change(peer, "slam_node", DEACTIVATE) and change(peer, "slam_node", CLEANUP)
        wait_for(lambda: pipeline() is None and surfels() is None, "the memory to be freed")
        assert before == {name: len(list(getattr(node, name))) for name in before}


def test_what_cannot_be_configured_stays_unconfigured_and_says_why(
    ros_domain: int, tmp_path: Path
) -> None:
    settings = MANAGED | {"runtime.start_map": tmp_path / "nowhere.safetensors"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (end,):
        for _ in range(2):
            assert not change(peer, "slam_node", CONFIGURE)
            assert state(peer, "slam_node") == "unconfigured"
        assert end.alive and "not configured" in end.output and "nowhere" in end.output
        assert change(peer, "slam_node", SHUTDOWN)
        assert end.wait() == 0


def test_a_map_that_cannot_be_saved_is_not_forgotten(ros_domain: int, tmp_path: Path) -> None:
    output = tmp_path / "maps"
    output.write_text("a file where the folder should be")
    config = Config().with_values(MANAGED | {"runtime.output": str(output)})
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        assert change(peer, "slam_node", CONFIGURE) and change(peer, "slam_node", ACTIVATE)
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        assert change(peer, "slam_node", DEACTIVATE)
        assert not change(peer, "slam_node", CLEANUP)
        assert state(peer, "slam_node") == "inactive"
        output.unlink()
        assert change(peer, "slam_node", CLEANUP) and (output / "map.ply").exists()
        assert node.state == "unconfigured"


@pytest.mark.parametrize("name", ["keyframe_node", "depth_node", "mapper_node"])
def test_the_split_nodes_have_it_too(ros_domain: int, tmp_path: Path, name: str) -> None:
    with peer_in(ros_domain) as peer, running(tmp_path, [(name, MANAGED)]) as (end,):
        for _ in range(2):
            assert change(peer, name, CONFIGURE) and change(peer, name, ACTIVATE)
            assert state(peer, name) == "active"
            assert change(peer, name, DEACTIVATE) and change(peer, name, CLEANUP)
        assert end.end() == 0, end.output
        assert "Traceback" not in end.output
