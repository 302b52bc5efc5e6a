"""Loops that are looked for while map reuse has found a few old landmarks already."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.loop_closing import LoopClosing
from e2e_slam_ros.tracking.loop_closure import move
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.visual_tracker import VisualTracker
from e2e_slam_ros.tracking.window_adjustment import WindowAdjustment
from tracking.plane import CAMERA, Pose, frame, pose

FRAMES = 90
# Neither map reuse nor loops connect the end of the walk with its begin; the test looks for both.
APART = Config().with_values(
    {"tracking.corners": 200, "tracking.reuse.enabled": False, "tracking.loop.min_gap": 1000}
)
CONFIG = APART.with_values({"tracking.loop.min_gap": 6, "tracking.reuse.enabled": True}).tracking


def walk() -> list[Pose]:
    """Three metres along the wall and back; the start is out of sight meanwhile."""
    angles = np.linspace(0.0, 2.0 * np.pi, FRAMES)
    return [pose(1.5 * (1.0 - np.cos(a)), 0.2 * np.sin(a)) for a in angles]


@pytest.fixture
def drifted(wall: np.ndarray) -> VisualTracker:
    """A walk back to its start; its end is 20 cm off."""
    tracker = VisualTracker(APART.tracking)
    for i, T in enumerate(walk()):
        tracker.track(frame(wall, i, T))
        while tracker.adjust():
            pass
    poses = np.stack([keyframe.T_map_camera for keyframe in tracker.map.keyframes])
    share = np.linspace(0.0, 1.0, len(poses))
    twists = share[:, None] * np.array([0.2, 0.05, 0.0, 0.0, 0.0, 0.02])
    move(tracker.map, rigid.exp(twists) @ poses, np.ones(len(poses)))
    return tracker


def see_again(tracker: VisualTracker, keyframe: TrackingKeyframe, each: int) -> None:
    """Let a keyframe see a few landmarks of each older one, where they really are."""
    path, lens = walk(), Lens(CAMERA)
    for old in tracker.map.keyframes[: keyframe.index - 6]:
        ids = old.seen.ids[~np.isin(old.seen.ids, keyframe.seen.ids)]
        local = rigid.transform_points(
            rigid.inverse(old.T_map_camera), tracker.map.landmarks.position[ids]
        )
        T = rigid.inverse(path[keyframe.frame_index]) @ path[old.frame_index]
        pixels = lens.project(rigid.transform_points(T, local))
        inside = np.isfinite(pixels).all(1) & (pixels > 20).all(1) & (pixels < 200).all(1)
        ids, pixels = ids[inside][:each], pixels[inside][:each]
        tracker.map.see(keyframe, Observations.without_depth(ids, pixels, pixels))


@pytest.mark.parametrize("each", [0, 2])
def test_a_few_landmarks_found_again_do_not_hide_a_loop(drifted: VisualTracker, each: int) -> None:
    local_map, lens, lock, places = drifted.map, Lens(CAMERA), threading.RLock(), PlaceIndex()
    for keyframe in local_map.keyframes:
        places.add(keyframe.descriptors)
    newest, path = local_map.keyframes[-1], walk()
    assert np.linalg.norm(newest.T_map_camera[:3, 3] - path[newest.frame_index][:3, 3]) > 0.1
    see_again(drifted, newest, each)
    window = WindowAdjustment(local_map, lens, CONFIG, lock)
    loops = LoopClosing(local_map, lens, CONFIG, lock, places, window)
    assert loops.work(newest, measured_scale=True)
    assert len(loops.closed) == 1
    assert np.linalg.norm(newest.T_map_camera[:3, 3] - path[newest.frame_index][:3, 3]) < 0.02
