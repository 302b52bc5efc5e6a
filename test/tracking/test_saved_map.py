"""The tracker's map saved and loaded: the camera is found in it, and it stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.tracking import temporary_keyframes
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.loop_closure import Loop, corrected_poses
from e2e_slam_ros.tracking.map_state import StateDict, from_state
from e2e_slam_ros.tracking.offline import track_sequence
from e2e_slam_ros.tracking.place_search import PoseGuess
from e2e_slam_ros.tracking.state import TrackingState
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.visual_tracker import VisualTracker
from tracking.plane import CAMERA, frame, pose, texture, walk

CONFIG = Config().with_values({"tracking.corners": 200}).tracking
LOCALIZE = replace(CONFIG, localize_only=True)
UP = np.array([0.0, -1.0, 0.0])


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    wall = texture()
    return [frame(wall, i, T) for i, T in enumerate(walk(60))]


@pytest.fixture(scope="module")
def state(frames: list[Frame]) -> StateDict:
    """The map of the first half of a walk."""
    tracker = VisualTracker(CONFIG)
    track_sequence(frames[:30], tracker)
    return tracker.state_dict()


def loaded(state: StateDict, localize_only: bool = True) -> VisualTracker:
    tracker = VisualTracker(LOCALIZE if localize_only else CONFIG)
    tracker.load(from_state(state), state)
    return tracker


def off(tracked: np.ndarray | None, one: Frame) -> float:
    assert tracked is not None and one.T_map_camera is not None
    return float(np.linalg.norm(tracked[:3, 3] - one.T_map_camera[:3, 3]))


def follow(tracker: VisualTracker, frames: list[Frame]) -> Iterator[np.ndarray | None]:
    for one in frames:
        yield tracker.track(one).T_map_camera
        while tracker.adjust():
            pass


def assert_same(state: StateDict, other: StateDict) -> None:
    assert state.keys() == other.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(other[name].numpy(), value.numpy(), name)


def test_a_loaded_map_is_the_saved_one(frames: list[Frame], state: StateDict) -> None:
    tracker = VisualTracker(CONFIG)
    track_sequence(frames[:30], tracker)
    back = from_state(state).local_map
    assert len(back.keyframes) == len(tracker.map.keyframes) > 3
    for mine, saved in zip(back.keyframes, tracker.map.keyframes, strict=True):
        assert mine.stamp_ns == saved.stamp_ns
        assert np.allclose(mine.T_map_camera, saved.T_map_camera, atol=1e-12)
        described = tracker.map.landmarks.alive[saved.described]
        assert np.array_equal(mine.descriptors, saved.descriptors[described])
        kept = tracker.map.landmarks.alive[saved.seen.ids]
        assert np.allclose(mine.seen.ideal, saved.seen.ideal[kept], atol=1e-4)
        assert np.abs(mine.image.astype(float) - saved.image).mean() < 2.0
    alive = int(tracker.map.landmarks.alive.sum())
    assert len(back.landmarks) == alive and np.isfinite(back.landmarks.position).any()
    # Saved again it is the same file: nothing is encoded a second time.
    again = loaded(state, localize_only=False).state_dict()
    assert_same(state, again)


def test_the_camera_is_found_and_the_map_stays(frames: list[Frame], state: StateDict) -> None:
    tracker = loaded(state)
    assert tracker.state is TrackingState.LOST
    poses = list(follow(tracker, frames[35:]))
    assert max(off(p, one) for p, one in zip(poses, frames[35:], strict=True)) < 0.02
    assert tracker.state is TrackingState.TRACKING
    assert_same(state, tracker.state_dict())
    before, now = from_state(state).local_map, tracker.map
    for old, new in zip(before.keyframes, now.keyframes, strict=False):
        assert np.array_equal(old.T_map_camera, new.T_map_camera)
        assert np.array_equal(old.seen.ids, new.seen.ids)
    count = len(before.landmarks)
    assert np.array_equal(before.landmarks.position, now.landmarks.position[:count], True)


def test_tracking_goes_on_in_a_loaded_map(frames: list[Frame], state: StateDict) -> None:
    tracker = loaded(state, localize_only=False)
    poses = list(follow(tracker, frames[35:]))
    assert max(off(p, one) for p, one in zip(poses, frames[35:], strict=True)) < 0.02
    old = len(state["keyframe.stamp_ns"])
    saved = tracker.state_dict()
    assert len(saved["keyframe.stamp_ns"]) > old
    both = saved["keyframe.T_map_camera"][:old], state["keyframe.T_map_camera"]
    assert torch.equal(*both)


def test_at_an_unknown_place_it_stays_lost(frames: list[Frame], state: StateDict) -> None:
    tracker = loaded(state)
    elsewhere = [frame(texture(99), i, T) for i, T in enumerate(walk(60)[:6])]
    for one in elsewhere:
        answer = tracker.track(one)
        assert answer.T_map_camera is None and answer.state is TrackingState.LOST
        assert "keyframes is recognised" in answer.reason
    later = replace(frames[20], stamp_ns=frames[20].stamp_ns + 10**9)
    answer = tracker.track(later)
    assert answer.state is TrackingState.RELOCALISED and off(answer.T_map_camera, later) < 0.02


def test_another_camera_is_refused(frames: list[Frame], state: StateDict) -> None:
    tracker = loaded(state)
    other = replace(frames[5], camera=replace(CAMERA, fx=CAMERA.fx * 1.1))
    answer = tracker.track(other)
    assert answer.T_map_camera is None and "another camera" in answer.reason
    assert tracker.track(frames[6]).T_map_camera is not None


def test_without_a_map_there_is_nothing_to_localise_in(frames: list[Frame]) -> None:
    tracker = VisualTracker(LOCALIZE)
    answer = tracker.track(frames[0])
    assert answer.T_map_camera is None and "load one first" in answer.reason
    assert tracker.state_dict() == {}


def test_temporary_keyframes_are_bounded(
    frames: list[Frame], state: StateDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary_keyframes, "_MOST_TEMPORARY", 3)
    tracker, most = loaded(state), 0
    old = tracker.map.fixed
    for lap in range(3):
        shift = lap * 10 * 10**9
        again = [replace(one, stamp_ns=one.stamp_ns + shift) for one in frames]
        for answer, one in zip(follow(tracker, again), again, strict=True):
            assert off(answer, one) < 0.03
            most = max(most, len(tracker.map.keyframes) - old)
    assert 3 < most < 12
    assert_same(state, tracker.state_dict())


def test_what_has_drifted_away_comes_back(frames: list[Frame], state: StateDict) -> None:
    """New keyframes 40 cm off that see none of the loaded landmarks any more."""
    tracker = loaded(state)
    list(follow(tracker, frames[2:12]))
    new = tracker.map.keyframes[tracker.map.fixed :]
    before = [keyframe.T_map_camera.copy() for keyframe in new]
    for keyframe in new:
        keyframe.T_map_camera = pose(0.4, turn=(0, 0, 5)) @ keyframe.T_map_camera
        tracker.map.unsee(keyframe, keyframe.seen.ids < tracker.map.fixed_landmarks)
    assert tracker._front.back_end is not None
    front = tracker._front
    temporary_keyframes.rejoin_loaded(front, new[-1], front.back_end, tracker._lock)
    for keyframe, T in zip(new, before, strict=True):
        assert np.allclose(keyframe.T_map_camera, T, atol=0.01)
    assert (new[-1].seen.ids < tracker.map.fixed_landmarks).sum() >= 50
    assert_same(state, tracker.state_dict())


def test_a_given_pose_is_where_it_looks_first(frames: list[Frame], state: StateDict) -> None:
    tracker = loaded(state)
    near = frames[12].T_map_camera
    assert near is not None
    rough = near @ pose(0.2, 1.5, 0.1, (0, 10, 0))  # 1.5 m too low: height does not count
    tracker.look(PoseGuess(rough, 0.6, 45.0, UP))
    answer = tracker.track(frames[12])
    assert (
        answer.state is TrackingState.RELOCALISED and off(answer.T_map_camera, frames[12]) < 0.02
    )
    tracker.look(PoseGuess(pose(30.0), 1.0, 45.0, UP))
    for i in range(10):
        answer = tracker.track(replace(frames[12], stamp_ns=10**12 + i))
        assert answer.T_map_camera is None and "near the given pose" in answer.reason
    assert tracker.guess_failures == 1 and "everywhere" in answer.reason
    answer = tracker.track(replace(frames[12], stamp_ns=10**12 + 10))
    assert off(answer.T_map_camera, frames[12]) < 0.02


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("landmark.anchor", lambda t: t + 1000, "in landmark.anchor"),
        ("seen.landmark", lambda t: t - 1, "in seen.landmark"),
        (
            "seen.landmark",
            lambda t: t[1:],
            r"in seen.pixel, expected float32 \(\d+, 2\)",
        ),
        ("keyframe.seen", lambda t: t + 1, "observations"),
        ("keyframe.T_map_camera", lambda t: 2.0 * t, "not rigid"),
        ("keyframe.T_map_camera", lambda t: t * torch.nan, "NaN"),
        ("images", lambda t: torch.zeros_like(t), "an image: none"),
        ("size", lambda t: t // 2, "an image: 320x240"),
        ("size", lambda t: 0 * t, "camera"),
        ("camera", lambda t: -t, "camera"),
        ("camera", lambda t: t[:2], "2 numbers"),
        ("readout_s", lambda t: t + 1.0, "readout time"),
        ("described.descriptor", lambda t: t.float(), "float32 .* in described.descriptor"),
    ],
)
def test_what_no_map_holds_is_refused(
    state: StateDict, name: str, change: object, reason: str
) -> None:
    assert callable(change)
    with pytest.raises(MapError, match=f"keyframes in the map file.*{reason}.*; "):
        from_state(state | {name: change(state[name].clone())})
    with pytest.raises(MapError, match=f"missing or unknown: {name}"):
        from_state({key: value for key, value in state.items() if key != name})


def test_real_frames_in_a_map_of_earlier_ones(shared_data: Path) -> None:
    """A camera that mostly turns, and half a second later is shown the map of before."""
    reader = open_reader(shared_data / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt")
    tracker = VisualTracker(Config().tracking)
    first = track_sequence([reader[i] for i in range(40)], tracker)
    state = tracker.state_dict()
    assert state["images"].numel() < 100_000 * len(state["keyframe.stamp_ns"])
    whole = [tracker.track(reader[i]).T_map_camera for i in range(40, 70)]
    assert first.tracked == 1.0
    localising = VisualTracker(replace(Config().tracking, localize_only=True))
    localising.load(from_state(state), state)
    found = track_sequence([reader[i] for i in range(55, 70)], localising)
    assert found.tracked == 1.0
    for pose_there, pose_here in zip(whole[15:], found.online, strict=True):
        assert pose_there is not None
        assert np.linalg.norm(pose_there[:3, 3] - pose_here[:3, 3]) < 0.05


def test_a_loop_moves_new_keyframes_and_no_loaded_ones() -> None:
    local_map, image = LocalMap(), np.zeros((48, 64), np.uint8)
    nothing = Observations.without_depth(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2)))
    for index in range(5):
        T = pose(1.0 * index)
        local_map.add(TrackingKeyframe(index, index, index, image, T, np.zeros(3), nothing))
        if index == 1:
            local_map.hold()
    loop = Loop(old=1, T_map_camera=pose(3.4), scale=1.0, matches=40)
    for with_scale in (False, True):
        poses, scales = corrected_poses(local_map, local_map.keyframes[4], loop, with_scale)
        x = poses[:, 0, 3]
        assert x[:2].tolist() == [0.0, 1.0] and scales[:2].tolist() == [1.0, 1.0]
        assert 1.6 < x[2] < 1.95 and x[2] < x[3] < 2.95 and abs(x[4] - 3.4) < 0.05
