"""Player and slam_node in one process, over real ROS 2."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.config import Config, MapConfig
from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.mapping.map_checkpoint import load_map
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.replay import run_replay
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.result import KeyframeResult
from nodes.ros_peer import REPO, peer_in
from synthetic import frame, pose

CONFIG = Config().with_values({"camera.working_width": 160})


class Walk:
    """A camera that moves along a wall, 10 cm and 100 ms a frame."""

    name = "walk"
    report = ReaderReport()

    def __init__(self, count: int, broken: tuple[int, ...] = (), pause_s: float = 0.0) -> None:
        self.count, self.broken, self.pause_s = count, broken, pause_s

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Frame:
        time.sleep(self.pause_s)
        if index in self.broken:
            raise DataError.from_parts("rgb/1.png", "no PNG", "a readable image", "copy it again")
        return frame(index, pose(x=0.1 * index))


class Recorder(RunObserver):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bool]] = []
        self.keyframes: list[KeyframeResult] = []
        self.stages: set[str] = set()

    def on_frame(self, stamp_ns: int, T_map_camera: np.ndarray | None) -> None:
        self.frames.append((stamp_ns, T_map_camera is not None))

    def on_keyframe(self, result: KeyframeResult) -> None:
        self.keyframes.append(result)

    def on_latency(self, stage: str, ms: float) -> None:
        assert ms >= 0.0
        self.stages.add(stage)


def test_a_second_run_localises_in_the_map_of_the_first(
    ros_domain: int, shared_data: Path, tmp_path: Path
) -> None:
    rooms = TumReader(shared_data / "hololens" / "rooms_000")
    config = CONFIG.with_values({"pose.source": "visual", "tracking.image_width": 320})
    file = tmp_path / "map.safetensors"
    reader = FrameSlice(rooms, 0, 10)
    first = run_replay(reader, config, lockstep=True, progress=False, checkpoint=file)
    assert first.checkpoint == file and file.is_file() and first.keyframes > 1
    only = config.with_values({"tracking.localize_only": True, "runtime.start_map": str(file)})
    recorder = Recorder()
    other = tmp_path / "other.safetensors"
    reader = FrameSlice(rooms, 5, 12)
    second = run_replay(
        reader, only, lockstep=True, progress=False, recorder=recorder, checkpoint=other
    )
    assert [tracked for _, tracked in recorder.frames] == [True] * 7
    assert (second.keyframes, second.map_hash) == (0, _hash_of(file))
    assert second.checkpoint is None and not other.exists()
    missing = only.with_values({"runtime.start_map": str(other)})
    with pytest.raises(E2ESlamError, match="No such file"):
        run_replay(reader, missing, lockstep=True, progress=False)


def _hash_of(file: Path) -> str:
    surfels = SurfelMap(MapConfig(), torch.device("cpu"))
    load_map(file, surfels)
    return surfels.state_hash()


def test_two_lock_step_runs_of_real_frames_make_the_same_map(
    ros_domain: int, shared_data: Path
) -> None:
    reader = FrameSlice(TumReader(shared_data / "hololens" / "rooms_000"), 0, 10)
    threads = threading.active_count()
    first = run_replay(reader, CONFIG, lockstep=True, progress=False)
    second = run_replay(reader, CONFIG, lockstep=True, progress=False)
    assert first.map_hash == second.map_hash and len(first.cloud) > 5000
    assert (first.frames, first.dropped, first.problems) == (10, 0, {})
    assert 2 <= first.keyframes == second.keyframes
    assert threading.active_count() == threads, "threads are left behind"


class WithoutPoses(FrameSlice):
    """Frames as a plain camera delivers them."""

    def __getitem__(self, index: int) -> Frame:
        return replace(super().__getitem__(index), T_map_camera=None)


@pytest.mark.parametrize("source", ["icp", "photometric"])
def test_dense_odometry_waits_for_the_depth_of_each_frame(
    source: str, ros_domain: int, shared_data: Path
) -> None:
    """Depth comes on a topic of its own, after the image; every frame is tracked with it."""
    rooms = TumReader(shared_data / "hololens" / "rooms_000")
    true = [rooms[i].T_map_camera for i in range(8)]
    config = CONFIG.with_values({"pose.source": source})
    recorder = Recorder()
    result = run_replay(
        WithoutPoses(rooms, 0, 8), config, lockstep=True, progress=False, recorder=recorder
    )
    assert (result.frames, result.dropped, result.problems) == (8, 0, {})
    assert [tracked for _, tracked in recorder.frames] == [True] * 8
    assert result.keyframes >= 2 and len(result.cloud) > 3000
    for mapped in recorder.keyframes:
        moved = mapped.keyframe.T_map_camera[:3, 3].norm().item()
        expected = true[mapped.keyframe.frame_index][:3, 3] - true[0][:3, 3]
        assert abs(moved - np.linalg.norm(expected)) < 0.02


def test_poses_from_images_are_the_same_twice(ros_domain: int, shared_data: Path) -> None:
    reader = TumReader(shared_data / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt")
    plain = WithoutPoses(reader, 0, 16)
    config = CONFIG.with_values({"pose.source": "visual"})
    hashes = []
    for _ in range(2):
        outcome = run_replay(plain, config, lockstep=True, progress=False)
        assert outcome.frames == 16 and outcome.keyframes > 2
        assert not set(outcome.problems) - {"no_depth"}
        hashes.append(outcome.map_hash)
    assert hashes[0] == hashes[1]


def test_odometry_by_a_network_is_the_same_twice(ros_domain: int, shared_data: Path) -> None:
    plain = WithoutPoses(TumReader(shared_data / "hololens" / "rooms_000"), 0, 8)
    config = CONFIG.with_values({"pose.source": "deepv2d"})
    hashes = []
    for _ in range(2):
        recorder = Recorder()
        outcome = run_replay(plain, config, lockstep=True, progress=False, recorder=recorder)
        assert (outcome.frames, outcome.dropped) == (8, 0)
        assert sum(tracked for _, tracked in recorder.frames) >= 6 and outcome.keyframes >= 2
        hashes.append(outcome.map_hash)
    assert hashes[0] == hashes[1]


def test_the_recorder_sees_every_frame_and_keyframe(ros_domain: int) -> None:
    recorder = Recorder()
    outcome = run_replay(
        Walk(6, broken=(2,)), CONFIG, lockstep=True, recorder=recorder, progress=False
    )
    assert recorder.frames == [(index * 100_000_000, True) for index in (0, 1, 3, 4, 5)]
    assert len(recorder.keyframes) == outcome.keyframes >= 2
    assert recorder.stages >= {"image_to_tf", "decide"}
    assert not outcome.interrupted


def test_real_time_uses_every_frame_it_gets(ros_domain: int) -> None:
    outcome = run_replay(Walk(8), CONFIG, lockstep=False, rate=2.0, progress=False)
    assert outcome.frames == 8 and outcome.problems == {}
    assert outcome.keyframes + outcome.dropped >= 2 and outcome.wall_s > 0.3


def test_nothing_readable_is_an_error_and_leaves_no_threads(ros_domain: int) -> None:
    threads = threading.active_count()
    with pytest.raises(DataError, match="no readable frame"):
        run_replay(Walk(2, broken=(0, 1)), CONFIG, lockstep=True, progress=False)
    assert threading.active_count() == threads


def test_another_player_in_the_domain_is_refused(ros_domain: int) -> None:
    with peer_in(ros_domain):
        with pytest.raises(E2ESlamError, match="ROS_DOMAIN_ID"):
            run_replay(Walk(2), CONFIG, lockstep=True, progress=False)


# A shell without job control starts what it runs in the background with Ctrl-C ignored.
_ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = [{repo!r}, {test!r}]
from nodes.test_replay import CONFIG, Recorder, Walk, run_replay
class Telling(Recorder):
    def on_keyframe(self, result):
        print("MAPPED", flush=True)
walk = Walk(10_000, pause_s=0.02)
outcome = run_replay(walk, CONFIG, lockstep=True, recorder=Telling(), progress=False)
print("OUTCOME", outcome.interrupted, outcome.frames > 0, len(outcome.cloud) > 0)
"""


def test_ctrl_c_returns_what_there_is(ros_domain: int, tmp_path: Path) -> None:
    code = _ENDLESS.format(repo=str(REPO), test=str(REPO / "test"))
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=output, stderr=subprocess.STDOUT, env=os.environ
        )
    deadline = time.monotonic() + 60
    while "MAPPED" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
    assert "OUTCOME True True True" in log.read_text()


def test_a_full_disk_loses_no_map(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rclpy

    from e2e_slam_ros.nodes.parameters import overrides
    from e2e_slam_ros.nodes.slam_node import SlamNode

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    config = CONFIG.with_values({"runtime.output": str(tmp_path / "maps")})
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = SlamNode(context, overrides(config))
    try:
        for index in range(2):
            sample = frame(index, pose(x=0.3 * index))
            node.pipeline.map_keyframe(sample, node.pipeline.choose_keyframe(sample))
        surfels = len(node.pipeline.surfels)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            success, reason = node.save_map()
        assert not success and "No space left" in reason
        assert list((tmp_path / "maps").glob("*")) == []
        assert node.diagnostics.problems.totals() == {"save": 1}
        assert len(node.pipeline.surfels) == surfels > 0
        success, path = node.save_map()
        assert success and Path(path).stat().st_size > 0
    finally:
        node.close(save=False)
        node.destroy_node()
        context.try_shutdown()
