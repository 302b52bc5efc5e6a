"""Dense odometry in rendered rooms and on bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.slam.trackers import build_tracker
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.dense.odometry import ALIGNERS, DenseTracker
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.offline import track_sequence
from e2e_slam_ros.tracking.state import Tracker, TrackingState
from tracking.plane import depth as wall_depth
from tracking.plane import frame as wall_frame
from tracking.plane import walk

CPU = torch.device("cpu")
SOURCES = ("icp", "gradicp", "photometric")


@pytest.fixture(scope="module")
def room() -> list[Frame]:
    reader = ProceduralReader(
        0, 16, 160, 120, effects=SensorEffects(0, 0, 0, 0), texture_size=128, rate_hz=10.0
    )
    return [reader[i] for i in range(len(reader))]


def tracker(source: str, **values: object) -> Tracker:
    settings = {"tracking.odometry.min_pixels": 200, **values}
    return build_tracker(Config().with_values({"pose.source": source, **settings}), CPU)


def worst_error(poses: np.ndarray, frames: list[Frame]) -> tuple[float, float]:
    """Metres and degrees, relative to the first frame."""
    first = frames[0].T_map_camera
    assert first is not None
    moved, turned = [], []
    for pose, one in zip(poses, frames, strict=True):
        assert one.T_map_camera is not None
        T = rigid.inverse(rigid.inverse(first) @ one.T_map_camera) @ pose
        moved.append(float(np.linalg.norm(T[:3, 3])))
        turned.append(rigid.angle_deg(T))
    return max(moved), max(turned)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("reference", ["keyframe", "map"])
def test_the_path_through_a_room(source: str, reference: str, room: list[Frame]) -> None:
    result = track_sequence(room, tracker(source, **{"tracking.odometry.reference": reference}))
    assert result.tracked == 1.0 and len(result.keyframes) >= 2
    moved, turned = worst_error(result.T_map_camera, room)
    assert moved < 0.02 and turned < 0.5
    assert len(result.landmarks) > 20 and np.isfinite(result.landmarks).all()


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_poses_twice(source: str, room: list[Frame]) -> None:
    first, second = (track_sequence(room[:6], tracker(source)) for _ in range(2))
    assert np.array_equal(first.online, second.online)


def test_depth_at_keyframes_is_enough_for_brightness(wall: np.ndarray) -> None:
    """Depth of another size, given after the frame, as a network gives it; its scale drifts."""
    path = walk(40)
    frames = [wall_frame(wall, i, T, with_depth=False) for i, T in enumerate(path)]
    half = frames[0].camera.resized(160, 120)

    def given(one: Frame) -> DepthImage:
        grows = np.float32(1.0 + 0.01 * one.index)
        return DepthImage(wall_depth(path[one.index], half) * grows, half, 0.3)

    result = track_sequence(frames, tracker("photometric"), given)
    assert result.tracked == 1.0 and len(result.keyframes) > 3
    assert worst_error(result.T_map_camera, frames)[0] < 0.03


def test_a_wall_is_lost_for_icp_and_found_again(room: list[Frame], wall: np.ndarray) -> None:
    """Before a plane there is no pose instead of a wrong one; then a known place comes back."""
    follow = tracker("icp")
    for one in room[:4]:
        assert follow.track(one).T_map_camera is not None
    flat = replace(room[4], depth=np.full((120, 160), 2.0, np.float32))
    lost = follow.track(flat)
    assert lost.T_map_camera is None and lost.state == TrackingState.LOST
    assert lost.reason == "it does not agree with a keyframe"
    back = follow.track(room[5])
    assert back.T_map_camera is not None and back.state == TrackingState.RELOCALISED
    assert follow.track(room[6]).state == TrackingState.TRACKING


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("what", ["black", "no depth", "nan depth"])
def test_bad_frames_give_no_pose_or_a_right_one(source: str, what: str, room: list[Frame]) -> None:
    follow = tracker(source)
    for one in room[:3]:
        follow.track(one)
    bad = room[3]
    if what == "black":
        bad = replace(bad, image=np.zeros_like(bad.image))
    elif what == "no depth":
        bad = replace(bad, depth=None)
    else:
        bad = replace(bad, depth=np.full_like(bad.depth, np.nan))
    pose = follow.track(bad)
    if pose.T_map_camera is None:
        assert pose.state == TrackingState.LOST and pose.reason
    else:
        first = room[0].T_map_camera
        assert first is not None and bad.T_map_camera is not None
        true = rigid.inverse(first) @ bad.T_map_camera
        assert np.linalg.norm((rigid.inverse(true) @ pose.T_map_camera)[:3, 3]) < 0.03
    assert follow.track(room[4]).T_map_camera is not None


def test_the_first_frame_must_be_usable(room: list[Frame]) -> None:
    follow = tracker("icp")
    nothing = replace(room[0], depth=np.zeros_like(room[0].depth))
    first = follow.track(nothing)
    assert first.T_map_camera is None and first.state == TrackingState.INITIALISING
    assert "too few pixels" in first.reason
    assert follow.track(room[1]).state == TrackingState.TRACKING


def test_frames_that_are_refused_change_nothing(room: list[Frame]) -> None:
    follow = tracker("icp")
    for one in room[:3]:
        follow.track(one)
    old = follow.track(room[1])
    assert old.T_map_camera is None and "stamp" in old.reason
    other = PinholeCamera(160, 120, fx=100.0, fy=100.0, cx=80.0, cy=60.0)
    foreign = follow.track(replace(room[3], camera=other))
    assert foreign.T_map_camera is None and "another camera" in foreign.reason
    assert follow.track(room[3]).state == TrackingState.TRACKING
    with pytest.raises(DepthError, match="depth image"):
        follow.track(replace(room[4], depth=np.ones((10, 10), np.float32)))
    assert follow.track(room[5]).T_map_camera is not None


def test_reset_begins_anew(room: list[Frame]) -> None:
    follow = tracker("icp", **{"tracking.odometry.reference": "map"})
    for one in room[:3]:
        follow.track(one)
    follow.reset()
    assert follow.relative is None and follow.state == TrackingState.INITIALISING
    again = follow.track(room[0])
    assert again.T_map_camera is not None and np.array_equal(again.T_map_camera, np.eye(4))
    assert len(follow.points()) > 0 and not follow.adjust() and follow.loops == ()


def test_standing_still_makes_no_keyframes(room: list[Frame]) -> None:
    follow = tracker("icp")
    made = []
    for step in range(30):
        pose = follow.track(replace(room[0], index=step, stamp_ns=(step + 1) * 100_000_000))
        made.append(pose.keyframe)
        assert pose.T_map_camera is not None
        assert np.linalg.norm(pose.T_map_camera[:3, 3]) < 1e-4
    assert [one for one in made if one is not None] == [0]


def test_only_the_last_keyframes_keep_images(room: list[Frame]) -> None:
    values = {"tracking.keyframe.parallax": 0.0}
    config = Config().with_values({"tracking.odometry.min_pixels": 200, **values}).tracking
    follow = DenseTracker(ALIGNERS["icp"], config, CPU)
    for one in room:
        follow.track(one)
    assert follow.keyframes is not None
    kept = [one.has_depth for one in follow.keyframes]
    assert sum(kept) == 4 and all(kept[-4:]) and len(kept) > 6
