"""The visual tracker inside the pipeline: poses from images alone make the map."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.se3 import similarity_scale
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.pose_tracking import T_MAP_FIRST, PoseTracking
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.loop_closure import move
from e2e_slam_ros.tracking.state import TrackingState
from tracking.plane import CAMERA, WALL_M, depth, frame, texture, walk
from tracking.plane import pose as place

CPU = torch.device("cpu")
VALUES = {"pose.source": "visual", "runtime.offline": True, "tracking.corners": 200}


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    wall = texture()
    return [frame(wall, i, T) for i, T in enumerate(walk(40))]


def run(system: SlamPipeline, frames: list[Frame]) -> list[np.ndarray]:
    """Track and map frames that come without a pose; return their poses."""
    assert system.tracking is not None
    poses = []
    for one in frames:
        tracked = system.tracking.track(replace(one, T_map_camera=None))
        assert tracked.T_map_camera is not None
        poses.append(tracked.T_map_camera)
        located = replace(one, T_map_camera=tracked.T_map_camera)
        decision = system.choose_keyframe(located, tracked.keyframe is not None)
        if decision.is_keyframe:
            system.map_keyframe(located, decision)
    return poses


def test_the_map_is_made_where_the_camera_was(frames: list[Frame]) -> None:
    system = SlamPipeline(Config().with_values(VALUES), CPU)
    poses = run(system, frames)
    first = frames[0].T_map_camera
    assert first is not None
    for pose, one in zip(poses, frames, strict=True):
        assert one.T_map_camera is not None
        true = T_MAP_FIRST @ np.linalg.inv(first) @ one.T_map_camera
        assert np.linalg.norm(pose[:3, 3] - true[:3, 3]) < 0.02
    # The wall is in front of the camera: along x of the map.
    cloud = system.surfels.snapshot().positions
    assert len(cloud) > 5000 and np.median(cloud[:, 0]) > 1.0
    # Memory and map are at the poses that the last adjustment left.
    assert system.tracking is not None
    assert system.tracking.corrections(system.keyframes.poses()) == {}


def test_a_refused_correction_costs_no_keyframe(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SlamPipeline(Config().with_values(VALUES), CPU)
    assert system.tracking is not None
    bad = {0: torch.full((4, 4), torch.nan, dtype=torch.float64)}
    monkeypatch.setattr(PoseTracking, "corrections", lambda *_: bad)
    tracked = system.tracking.track(replace(frames[0], T_map_camera=None))
    located = replace(frames[0], T_map_camera=tracked.T_map_camera)
    result = system.map_keyframe(located, system.choose_keyframe(located))
    assert any("poses are not corrected" in notice for notice in result.notices)
    assert len(system.keyframes) == 1 and len(system.surfels) > 0


def test_the_same_frames_give_the_same_poses(frames: list[Frame]) -> None:
    one, other = (
        run(SlamPipeline(Config().with_values(VALUES), CPU), frames[:20]) for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_black_image_is_lost_and_a_reset_begins_anew(frames: list[Frame]) -> None:
    system = SlamPipeline(Config().with_values(VALUES), CPU)
    run(system, frames[:10])
    tracking = system.tracking
    assert tracking is not None
    black = replace(frames[10], image=np.zeros_like(frames[10].image))
    lost = tracking.track(black)
    assert lost.T_map_camera is None and tracking.state is TrackingState.LOST
    assert "landmarks" in lost.reason
    tracking.reset()
    again = tracking.track(frames[0])
    assert again.T_map_camera is not None
    assert np.allclose(again.T_map_camera, T_MAP_FIRST)


def test_live_adjustment_has_a_thread_of_its_own(frames: list[Frame]) -> None:
    true = {one.stamp_ns: one.T_map_camera for one in frames}

    def depth_of(one: Frame) -> DepthImage:
        pose = true[one.stamp_ns]
        assert pose is not None
        return DepthImage(depth(pose), CAMERA, 0.05)

    config = Config().with_values(VALUES | {"runtime.offline": False})
    tracking = PoseTracking(config, depth_of)
    try:
        assert tracking.track(replace(frames[0], T_map_camera=None)).T_map_camera is not None
        # The first keyframe's depth comes from the thread; until then there is no pose.
        for attempt in range(200):
            again = replace(frames[0], stamp_ns=frames[0].stamp_ns + attempt + 1)
            if tracking.track(replace(again, T_map_camera=None)).T_map_camera is not None:
                break
            time.sleep(0.05)
        assert tracking.state is TrackingState.TRACKING
        poses = []
        for one in frames[1:]:
            time.sleep(0.03)
            poses.append(tracking.track(replace(one, T_map_camera=None)).T_map_camera)
        assert sum(pose is not None for pose in poses) > 0.9 * len(poses)
    finally:
        tracking.close()


def test_an_error_in_the_thread_is_told_and_the_thread_goes_on(frames: list[Frame]) -> None:
    told: list[Exception] = []
    asked: list[int] = []

    def depth_of(one: Frame) -> DepthImage:
        asked.append(one.stamp_ns)
        if len(asked) == 1:
            raise DepthError("no depth of this one")
        return DepthImage(depth(walk(1)[0]), CAMERA, 0.05)

    tracking = PoseTracking(Config().with_values(VALUES | {"runtime.offline": False}), depth_of)
    tracking.on_problem = told.append
    plain = replace(frames[0], T_map_camera=None)
    try:
        tracking.track(plain)
        tracking.finish()
        wait_until(lambda: len(told) == 1)
        assert str(told[0]) == "no depth of this one"
        # A new map: its first keyframe is worked on by the same thread.
        tracking.reset()
        tracking.track(plain)
        tracking.finish()
        wait_until(lambda: len(asked) == 2)
    finally:
        tracking.close()


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("not within 10 s")


def test_a_source_that_needs_poses_is_refused() -> None:
    with pytest.raises(ConfigError, match="sensor or network"):
        SlamPipeline(Config().with_values(VALUES | {"depth.source": "motion_stereo"}), CPU)


def test_the_scale_of_a_loop_reaches_the_map(frames: list[Frame]) -> None:
    """A loop that finds the map 10 % too small makes surfels, poses and depths larger."""
    system = SlamPipeline(Config().with_values(VALUES), CPU)
    run(system, frames[:25])
    tracking = system.tracking
    assert tracking is not None and len(system.keyframes) > 2
    wall_m = float(np.median(system.surfels.snapshot().positions[:, 0]))
    before = system.keyframes.poses()
    local_map = tracking._tracker.map
    poses = np.stack([keyframe.T_map_camera for keyframe in local_map.keyframes])
    poses[:, :3, 3] *= 1.1
    move(local_map, poses, np.full(len(poses), 1.1))
    moves = tracking.corrections(before)
    assert set(moves) == set(before)
    for T in moves.values():
        assert np.isclose(similarity_scale(T), 1.1) and np.allclose(T[:3, 3], 0.0, atol=0.01)
    system.move_keyframes(moves)
    tracking.corrected(moves)
    assert tracking.corrections(system.keyframes.poses()) == {}
    grown = float(np.median(system.surfels.snapshot().positions[:, 0]))
    assert grown == pytest.approx(1.1 * wall_m, rel=1e-3)
    for index, pose in system.keyframes.poses().items():
        assert torch.allclose(pose[:3, 3], 1.1 * before[index][:3, 3], atol=0.01)
        estimate = system.keyframes.depth_of(index)
        if estimate is not None:
            assert float(estimate.depth.median()) == pytest.approx(1.1 * WALL_M, rel=0.15)
    # The camera goes on in the larger map.
    tracked = tracking.track(replace(frames[25], T_map_camera=None))
    assert tracked.T_map_camera is not None, tracked.reason
    assert frames[25].T_map_camera is not None
    true = T_MAP_FIRST @ frames[25].T_map_camera
    assert np.linalg.norm(tracked.T_map_camera[:3, 3] - 1.1 * true[:3, 3]) < 0.02


def test_a_loop_merges_what_it_lays_onto_each_other(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SlamPipeline(Config().with_values(VALUES), CPU)
    run(system, frames[:12])
    # The wall is mapped a second time because its first image lies 30 cm behind where it is.
    away = torch.eye(4, dtype=torch.float64)
    away[0, 3] = 0.3
    first = dict.fromkeys(system.keyframes.poses(), away)
    system.surfels.move(first)
    run(system, frames[12:24])
    system.surfels.move(dict.fromkeys(first, torch.linalg.inv(away)))
    doubled = len(system.surfels)
    monkeypatch.setattr(PoseTracking, "loops", 1)
    run(system, frames[24:])
    assert len(system.surfels) < 0.75 * doubled
    cloud = system.surfels.snapshot().positions
    assert abs(float(np.median(cloud[:, 0])) - WALL_M) < 0.05


def height_tracking(frames: list[Frame], height_m: float, notices: list[str]) -> PoseTracking:
    """Track frames with depth 1.2 times as large as it is, beside the camera's height."""
    true = {one.stamp_ns: one.T_map_camera for one in frames}

    def depth_of(one: Frame) -> DepthImage:
        pose = true[one.stamp_ns]
        assert pose is not None
        return DepthImage(depth(pose) * np.float32(1.2), CAMERA, 0.6)

    values = {
        "tracking.scale": "camera_height",
        "tracking.camera_height_m": height_m,
        "tracking.keyframe.parallax": 0.02,
    }
    tracking = PoseTracking(Config().with_values(VALUES | values), depth_of)
    tracking.on_notice = lambda kind, text: notices.append(f"{kind}: {text}")
    poses = [tracking.track(one).T_map_camera for one in frames]
    assert all(pose is not None for pose in poses)
    return tracking


def test_the_floor_gives_the_metre_and_says_so() -> None:
    """The wall is the floor of a camera that looks 35 degrees down, 2 m above it."""
    wall, notices = texture(), list[str]()
    path = [place(0.03 * i, 0.012 * i, 0.0, (55.0, 0.0, 0.0)) for i in range(40)]
    frames = [frame(wall, i, T) for i, T in enumerate(path)]
    tracking = height_tracking(frames, WALL_M, notices)
    assert tracking.facts.scale_source == "camera_height" and tracking.facts.scale_sigma < 0.02
    moved = tracking.refreshed(frames[-1]).T_map_camera
    assert moved is not None
    assert np.linalg.norm(moved[:3, 3]) == pytest.approx(np.hypot(1.17, 0.468), rel=0.02)
    assert notices == []


def test_a_floor_that_is_never_seen_is_said() -> None:
    wall, notices = texture(), list[str]()
    path = [place(0.05 * i, 0.0, 0.0, (0.0, 2.0 * i, 0.0)) for i in range(-11, 12)]
    frames = [frame(wall, i, T, rate_hz=5.0) for i, T in enumerate(path)]
    tracking = height_tracking(frames, 1.0, notices)
    assert tracking.facts.scale_source == "network"
    assert len(notices) == 1 and notices[0].startswith("scale: ") and "floor" in notices[0]
