"""What is left of a map when its process ends: well, badly, or killed."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import torch
from std_srvs.srv import Trigger

from e2e_slam_ros.mapping.map_checkpoint import read_checkpoint, save_map
from e2e_slam_ros.mapping.ply import read_ply
from e2e_slam_ros.mapping.surfel_store import Surfels
from nodes.ros_peer import KeyframeSender, NodeProcess, Peer, peer_in, running, start, wait_for

# Live, and every frame a keyframe.
SETTINGS: dict[str, object] = {
    "runtime.silence_s": 0.0,
    "keyframe.parallax": 0.0,
    "keyframe.min_sharpness": 0.0,
}
MOST = 10**9
# Writing it takes a good part of a second.
LARGE = 1_500_000


def map_frames(peer: Peer, count: int, first: int = 1) -> None:
    for second in range(first, first + count):
        peer.send_good(float(second), x=0.1 * second)


def reported(peer: Peer, node: str, name: str, value: str) -> None:
    found = lambda: peer.status.get(f"/{node}", {}).get(name)  # noqa: E731
    wait_for(lambda: found() == value, lambda: f"{name} {value}, got {found()}", 20.0)


def checkpoint(path: Path) -> tuple[int, int]:
    """Surfels and keyframes of a checkpoint that can be loaded."""
    found = read_checkpoint(path, MOST)
    return len(found.surfels), found.fusions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_run_saves_its_map_when_it_ends_and_says_where(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "ros"))
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", SETTINGS)]) as (slam,):
        peer.wait_for_slam("slam_node")
        map_frames(peer, 2)
        assert slam.end(number) == 0, slam.output
    (cloud,) = (tmp_path / "ros" / "e2e_slam").glob("*/map.ply")
    assert str(cloud) in slam.output.splitlines()[-1]
    assert checkpoint(cloud.with_suffix(".safetensors")) == (len(read_ply(cloud)), 2)
    assert sorted(path.name for path in cloud.parent.iterdir()) == ["map.ply", "map.safetensors"]


def test_a_run_that_is_told_not_to_save_leaves_nothing(ros_domain: int, tmp_path: Path) -> None:
    settings = SETTINGS | {"runtime.output": tmp_path / "maps", "runtime.save_at_end": False}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        map_frames(peer, 1)
        assert slam.end() == 0, slam.output
    assert not (tmp_path / "maps").exists()


def test_a_killed_slam_node_loses_no_more_than_was_allowed(
    ros_domain: int, tmp_path: Path
) -> None:
    allowed, sent, maps = 4, 9, tmp_path / "maps"
    settings = SETTINGS | {"runtime.output": maps, "runtime.checkpoint_keyframes": allowed}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as ends:
        peer.wait_for_slam("slam_node")
        map_frames(peer, sent)
        kill(ends[0])
        _, kept = checkpoint(maps / "checkpoint.safetensors")
        assert sent - allowed <= kept <= sent
        ends[0] = start(("slam_node", settings | {"runtime.start_map": maps}), tmp_path)
        peer.status.clear()
        peer.wait_for_slam("slam_node")
        peer.send_until_answered(100.0, x=10.0)
        assert ends[0].end() == 0, ends[0].output
        assert checkpoint(maps / "map.safetensors")[1] == kept + 1
        # The map of before is in the new one; nothing but the new one is left.
        assert sorted(path.name for path in maps.iterdir()) == ["map.ply", "map.safetensors"]


def test_a_killed_mapper_loses_no_more_than_was_allowed(ros_domain: int, tmp_path: Path) -> None:
    allowed, sent, maps = 4, 9, tmp_path / "maps"
    settings = {"runtime.output": maps, "runtime.checkpoint_keyframes": allowed}
    with peer_in(ros_domain) as peer, running(tmp_path, [("mapper_node", settings)]) as ends:
        sender = KeyframeSender(peer)
        sender.wait_for_mapper()
        for index in range(1, sent + 1):
            sender.send(index)
            reported(peer, "mapper_node", "keyframes", str(index))
        kill(ends[0])
        surfels, kept = checkpoint(maps / "checkpoint.safetensors")
        assert sent - allowed <= kept <= sent
        ends[0] = start(("mapper_node", settings | {"runtime.start_map": maps}), tmp_path)
        peer.status.clear()
        reported(peer, "mapper_node", "surfels", str(surfels))
        # Nothing new: the file that it went on from is the newest.
        assert ends[0].end() == 0, ends[0].output
        assert [path.name for path in maps.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize("node", ["slam_node", "mapper_node"])
@pytest.mark.parametrize("content", [None, b"no map"])
def test_a_map_that_cannot_be_resumed_ends_the_start_in_one_line(
    ros_domain: int, tmp_path: Path, node: str, content: bytes | None
) -> None:
    source = tmp_path / "map.safetensors"
    if content is not None:
        source.write_bytes(content)
    with running(tmp_path, [(node, {"runtime.start_map": source})]) as (end,):
        assert end.wait() == 1
        lines = [line for line in end.output.splitlines() if line.startswith("e2e_slam_ros: ")]
        assert len(lines) == 1 and str(source) in lines[0], end.output
        assert "Traceback" not in end.output


def folder_is_a_file(maps: Path, _: int) -> None:
    maps.write_text("no folder")


def folder_cannot_be_written(maps: Path, _: int) -> None:
    # Root may write everywhere else.
    maps.symlink_to("/proc/self")


def no_room(_: Path, process: int) -> None:
    """Files of the process end at 50 kB; the map has more."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (50_000, 50_000))


@pytest.mark.parametrize("spoil", [folder_is_a_file, folder_cannot_be_written, no_room])
@pytest.mark.parametrize("node", ["slam_node", "mapper_node"])
def test_a_failed_save_at_the_end_is_the_last_line_and_the_exit_code(
    ros_domain: int, tmp_path: Path, spoil: Callable[[Path, int], None], node: str
) -> None:
    maps = tmp_path / "maps"
    settings = SETTINGS | {"runtime.output": maps, "runtime.checkpoint_keyframes": 0}
    with peer_in(ros_domain) as peer, running(tmp_path, [(node, settings)]) as (end,):
        if node == "slam_node":
            peer.wait_for_slam(node)
            map_frames(peer, 1)
        else:
            sender = KeyframeSender(peer)
            sender.wait_for_mapper()
            sender.send(1)
            reported(peer, node, "keyframes", "1")
        spoil(maps, end.process.pid)
        # A failure a moment before must not keep the last one out of the log.
        assert not peer.call(f"/{node}/save_map").success
        assert end.end() == 1, end.output
        last = end.output.splitlines()[-1]
        assert last.startswith("e2e_slam_ros: the map of ") and str(maps) in last, end.output
        assert "Traceback" not in end.output
    assert spoil is not no_room or list(maps.iterdir()) == []


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2, 0.5])
def test_an_end_during_a_save_waits_for_it(
    ros_domain: int, tmp_path: Path, delay_s: float
) -> None:
    maps = tmp_path / "maps"
    write_large_map(tmp_path / "large.safetensors")
    settings = SETTINGS | {
        "runtime.output": maps,
        "runtime.start_map": tmp_path / "large.safetensors",
    }
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        client = peer.create_client(Trigger, "/slam_node/save_map")
        assert client.wait_for_service(20.0)
        answer = client.call_async(Trigger.Request())
        wait_for(maps.exists, "the beginning of the save")
        time.sleep(delay_s)
        assert slam.end() == 0, slam.output
        wait_for(answer.done, "the answer", 5.0)
        assert answer.result().success and answer.result().message == str(maps / "map.ply")
        assert "terminate called" not in slam.output and "Traceback" not in slam.output
    assert sorted(path.name for path in maps.iterdir()) == ["map.ply", "map.safetensors"]
    assert checkpoint(maps / "map.safetensors")[0] == len(read_ply(maps / "map.ply")) == LARGE


def write_large_map(path: Path) -> None:
    spread = torch.rand((LARGE, 3))
    ones, keyframes = torch.ones(LARGE), torch.zeros(LARGE, dtype=torch.int32)
    normals = torch.tensor([[0.0, 0.0, 1.0]]).repeat(LARGE, 1)
    model = Surfels.empty(0, torch.device("cpu"))
    columns = {
        "positions": spread,
        "normals": normals,
        "colors": spread,
        "confidence": ones,
        "radius": ones,
        "created": keyframes,
        "updated": keyframes,
        "keyframe": keyframes,
    }
    cast = {
        name: value.to(getattr(model, name).dtype, copy=True) for name, value in columns.items()
    }
    save_map(path, Surfels(**cast), 1)


def kill(process: NodeProcess) -> None:
    process.process.kill()
    process.process.wait()
