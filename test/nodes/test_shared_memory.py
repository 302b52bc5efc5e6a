"""What killed nodes leave in shared memory."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.nodes.shared_memory import SHARED_MEMORY, remove_leftovers
from nodes.ros_peer import NodeProcess, peer_in, running, start, wait_for

LONG_AGO = (0.0, 0.0)


def segments(process: int) -> set[Path]:
    """Shared memory of its own that a process has."""
    maps = Path(f"/proc/{process}/maps").read_text()
    named = set(re.findall(r"/dev/shm/(fast(?:rtps|dds)_[0-9a-f]{16})$", maps, re.MULTILINE))
    return {SHARED_MEMORY / name for name in named if _is_held(SHARED_MEMORY / f"{name}_el")}


def _is_held(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def own_segments(node: NodeProcess, others: set[Path]) -> set[Path]:
    return segments(node.process.pid) - others


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no /dev/shm")
def test_a_node_removes_what_a_killed_one_left(ros_domain: int, tmp_path: Path) -> None:
    quiet: dict[str, object] = {"runtime.silence_s": 0.0}
    nodes = [("keyframe_node", quiet)]
    with peer_in(ros_domain) as peer, running(tmp_path, nodes) as ends:
        mine = segments(os.getpid())
        wait_for(lambda: "/keyframe_node" in peer.status, "keyframe_node")
        left = own_segments(ends[0], mine)
        if not left:
            pytest.skip("the middleware uses no shared memory here")
        ends[0].end(signal.SIGKILL)
        assert all(path.exists() for path in left)
        for path in left:
            os.utime(path.with_name(f"{path.name}_el"), LONG_AGO)
        for path in mine:
            os.utime(path.with_name(f"{path.name}_el"), LONG_AGO)
        peer.status.clear()
        ends.append(start(("mapper_node", quiet), tmp_path))
        wait_for(lambda: "/mapper_node" in peer.status, "mapper_node")
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in mine), "those of a process that lives"


def test_only_old_segments_that_nobody_holds_are_removed(tmp_path: Path) -> None:
    names = [f"fastrtps_{number:016x}" for number in range(3)]
    for name in names:
        (tmp_path / name).write_bytes(bytes(100))
        (tmp_path / f"{name}_el").write_bytes(b"")
    (tmp_path / "something_el").write_bytes(b"")
    for path in tmp_path.iterdir():
        if path.name != f"{names[2]}_el":  # which is new
            os.utime(path, LONG_AGO)
    with (tmp_path / f"{names[1]}_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path) == 100
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {*names[1:], *(f"{name}_el" for name in names[1:]), "something_el"}
    assert remove_leftovers(tmp_path / "nowhere") == 0
