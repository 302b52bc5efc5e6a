"""The whole system without ROS, on closed-form and recorded frames."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError, E2ESlamError, PoseError
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.slam.pipeline import SlamPipeline
from synthetic import frame, pose

CPU = torch.device("cpu")


def pipeline(**values: object) -> SlamPipeline:
    return SlamPipeline(Config().with_values(values), CPU)


def run(system: SlamPipeline, *frames: object) -> int:
    keyframes = 0
    for item in frames:
        decision = system.choose_keyframe(item)  # type: ignore[arg-type]
        if decision.is_keyframe:
            system.map_keyframe(item, decision)  # type: ignore[arg-type]
            keyframes += 1
    return keyframes


def test_a_walk_along_a_wall_maps_the_wall() -> None:
    system = pipeline()
    assert run(system, *(frame(i, pose(x=0.05 * i)) for i in range(20))) > 3
    positions = system.surfels.surfels.positions
    assert len(positions) > 48 * 64 * 0.9
    assert (positions[:, 2] - 2.0).abs().max() < 1e-4


def test_standing_still_does_not_grow_the_map() -> None:
    system = pipeline()
    run(system, *(frame(i, pose()) for i in range(5)))
    size = len(system.surfels)
    # Forced through the rule: the map itself must not grow either.
    for i in range(5, 15):
        system.map_keyframe(frame(i, pose()), system.choose_keyframe(frame(i, pose())))
    assert len(system.surfels) == size


def test_the_same_frames_make_the_same_map() -> None:
    hashes = set()
    for _ in range(2):
        system = pipeline()
        run(system, *(frame(i, pose(x=0.05 * i, yaw_deg=2.0 * i)) for i in range(20)))
        hashes.add(system.surfels.state_hash())
    assert len(hashes) == 1


def test_latencies_name_the_stages() -> None:
    system = pipeline()
    first = frame(0, pose())
    result = system.map_keyframe(first, system.choose_keyframe(first))
    assert list(result.latency_ms) == ["prepare", "depth", "fuse"]
    assert all(ms > 0 for ms in result.latency_ms.values())


def test_tensors_carry_no_graph() -> None:
    system = pipeline()
    first = frame(0, pose())
    result = system.map_keyframe(first, system.choose_keyframe(first))
    for tensor in (
        result.keyframe.image,
        result.estimate.depth,
        *system.surfels.surfels.columns(),
    ):
        assert not tensor.requires_grad and tensor.grad_fn is None


@pytest.mark.parametrize(
    "T",
    [
        None,
        np.full((4, 4), np.nan),
        np.diag([2.0, 1.0, 1.0, 1.0]),
        np.zeros((4, 4)),
        np.diag([1.0, 1.0, -1.0, 1.0]),
    ],
)
def test_a_bad_pose_is_refused_and_the_map_is_kept(T: object) -> None:
    system = pipeline()
    run(system, *(frame(i, pose(x=0.05 * i)) for i in range(5)))
    before = system.surfels.state_hash()
    bad = dataclasses.replace(frame(5, pose(x=1.0)), T_map_camera=T)  # type: ignore[arg-type]
    with pytest.raises(PoseError, match="got"):
        system.choose_keyframe(bad)
    assert system.surfels.state_hash() == before
    assert run(system, frame(6, pose(x=1.0))) == 1


def test_a_keyframe_that_fails_is_replaced_by_the_next_frame() -> None:
    system = pipeline()
    run(system, frame(0, pose()))
    before = system.surfels.state_hash()
    blind = dataclasses.replace(frame(1, pose(x=0.5)), depth=None)
    decision = system.choose_keyframe(blind)
    assert decision.is_keyframe
    with pytest.raises(DepthError, match="got"):
        system.map_keyframe(blind, decision)
    assert system.surfels.state_hash() == before
    assert run(system, frame(2, pose(x=0.5))) == 1


def test_reset_forgets_everything() -> None:
    system = pipeline()
    run(system, *(frame(i, pose(x=0.05 * i)) for i in range(10)))
    system.reset()
    assert len(system.surfels) == 0
    assert system.choose_keyframe(frame(0, pose())).reason == "first"


def test_the_bound_on_surfels_holds() -> None:
    system = pipeline(**{"map.max_surfels": 5000})
    sizes = []
    for i in range(40):
        item = frame(i, pose(x=0.2 * i))
        sizes.append(system.map_keyframe(item, system.choose_keyframe(item)).fusion.total)
    assert max(sizes) <= 5000 < sum(sizes)


# Bytes that a keyframe may leave behind. Its pose, kept for good, and the allocator take 1 to
# 7 kB; a keyframe of this size that somebody keeps is 50 kB.
LEFT_BEHIND = 20_000
LEAKS = (0, 50_000, 1_000_000)


@pytest.fixture(scope="module")
def growth() -> dict[int, float]:
    """Bytes left behind by a keyframe once the map is full, for each deliberate leak."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("no /proc/self/status here to read the memory in use from")
    probe = Path(__file__).with_name("memory_probe.py")
    tests = probe.parents[1]
    paths = [str(tests.parent), str(tests), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(probe), *map(str, LEAKS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(LEAKS, json.loads(done.stdout), strict=True))


def test_memory_is_flat_once_the_map_is_full(growth: dict[int, float]) -> None:
    assert growth[0] < LEFT_BEHIND


@pytest.mark.parametrize("leak", LEAKS[1:])
def test_tensors_that_leak_are_seen(growth: dict[int, float], leak: int) -> None:
    assert growth[leak] > LEFT_BEHIND
    assert growth[leak] == pytest.approx(leak, rel=0.5)


@pytest.mark.parametrize(
    ("folder", "stop"),
    [("hololens/rooms_000", 60), ("tum/rgbd_dataset_freiburg1_rpy_excerpt", 60)],
)
def test_recorded_rooms_are_mapped_within_sensor_noise(
    shared_data: Path, folder: str, stop: int
) -> None:
    reader = TumReader(shared_data / folder)
    system, results = pipeline(), []
    for index in range(min(stop, len(reader))):
        item = reader[index]
        try:
            decision = system.choose_keyframe(item)
        except E2ESlamError:
            continue
        if decision.is_keyframe:
            results.append(system.map_keyframe(item, decision))
    assert len(results) > 5
    tree = cKDTree(system.surfels.snapshot().positions)
    for result in results:
        seen = result.keyframe
        assert seen.sensor_depth is not None
        near = torch.where(seen.sensor_depth < system.config.depth.max_m, seen.sensor_depth, 0.0)
        points = backproject(near, seen.camera.matrix())[0].reshape(3, -1).T.double()
        points = points[points[:, 2] > 0][::50]
        in_map = points @ seen.T_map_camera[:3, :3].T + seen.T_map_camera[:3, 3]
        assert np.median(tree.query(in_map.numpy())[0]) < 0.02
