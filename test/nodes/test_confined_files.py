"""Anybody in the ROS network may call services and set parameters: files stay in their folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from nodes.ros_peer import KeyframeSender, Peer, peer_in, running, wait_for

NODES = ("slam_node", "mapper_node")


@contextmanager
def with_a_map(domain: int, node: str, tmp_path: Path) -> Iterator[Peer]:
    settings = {"runtime.output": tmp_path / "maps", "runtime.save_at_end": False}
    with peer_in(domain) as peer, running(tmp_path, [(node, settings)]) as (end,):
        if node == "slam_node":
            peer.wait_for_slam(node)
            peer.send_good(1.0)
        else:
            sender = KeyframeSender(peer)
            sender.wait_for_mapper()
            sender.send(1)
            wait_for(lambda: peer.status["/mapper_node"].get("keyframes") == "1", "a keyframe")
        yield peer
        assert end.end() == 0, end.output


def set_text(peer: Peer, node: str, name: str, value: str) -> SetParametersResult:
    client = peer.create_client(SetParameters, f"/{node}/set_parameters")
    assert client.wait_for_service(20.0)
    asked = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    future = client.call_async(asked)
    wait_for(future.done, f"{name} to be set")
    return future.result().results[0]


@pytest.mark.parametrize("node", NODES)
def test_files_are_written_in_the_output_folder_only(
    ros_domain: int, tmp_path: Path, node: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with with_a_map(ros_domain, node, tmp_path) as peer:
        for name in ("../outside/x.ply", str(outside / "x.ply"), ".hidden.ply", "a/b.ply", "x.sh"):
            answer = set_text(peer, node, "runtime.map_file", name)
            assert not answer.successful and "expected" in answer.reason, name
        answer = set_text(peer, node, "runtime.output", str(outside))
        assert not answer.successful
        answer = set_text(peer, node, "runtime.start_map", str(outside))
        assert not answer.successful
        saved = peer.call(f"/{node}/save_map")
        assert saved.success and saved.message == str(tmp_path / "maps" / "map.ply")
        assert set_text(peer, node, "runtime.map_file", "other.pcd").successful
        assert peer.call(f"/{node}/save_map").success
    assert list(outside.iterdir()) == []
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {
        *("map.ply", "map.safetensors", "other.pcd", "other.safetensors")
    }


@pytest.mark.parametrize("node", NODES)
def test_links_and_files_of_others_are_neither_written_nor_read(
    ros_domain: int, tmp_path: Path, node: str
) -> None:
    maps, secret = tmp_path / "maps", tmp_path / "secret"
    maps.mkdir()
    secret.write_text("secret")
    (maps / "link.ply").symlink_to(secret)
    (maps / "gone.ply").symlink_to(tmp_path / "new")
    (maps / "beside.safetensors").symlink_to(secret)
    (maps / "notes.ply").write_text("mine")
    with with_a_map(ros_domain, node, tmp_path) as peer:
        for name in ("link.ply", "gone.ply", "beside.ply", "notes.ply"):
            assert set_text(peer, node, "runtime.map_file", name).successful
            answer = peer.call(f"/{node}/save_map")
            assert not answer.success and "expected no file, or an older map" in answer.message
        assert set_text(peer, node, "runtime.map_file", "beside.ply").successful
        answer = peer.call(f"/{node}/load_map")
        assert not answer.success and "a link" in answer.message
    assert secret.read_text() == "secret" and (maps / "notes.ply").read_text() == "mine"
    assert not (tmp_path / "new").exists()
    assert {path.name for path in maps.iterdir()} == {
        *("link.ply", "gone.ply", "beside.safetensors", "notes.ply")
    }


@pytest.mark.parametrize("node", NODES)
def test_a_node_does_not_start_with_a_file_outside_its_folder(
    ros_domain: int, tmp_path: Path, node: str
) -> None:
    with running(tmp_path, [(node, {"runtime.map_file": "../x.ply"})]) as (end,):
        assert end.wait() == 1
        lines = [line for line in end.output.splitlines() if line.startswith("e2e_slam_ros: ")]
        assert len(lines) == 1 and "runtime.map_file" in lines[0], end.output
