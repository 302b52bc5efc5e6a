"""All keyframes adjusted at once, after a loop."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.tracking import cross_block as cross_module
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.cross_block import as_dense, cross_block, times_blocks
from e2e_slam_ros.tracking.given_pose import GivenPose, PoseSigma
from e2e_slam_ros.tracking.global_adjustment import adjust_all
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.loop_closure import move
from e2e_slam_ros.tracking.visual_tracker import VisualTracker
from tracking.plane import CAMERA, frame, walk

CONFIG = Config().with_values({"tracking.corners": 200}).tracking


@pytest.fixture
def tracker(wall: np.ndarray) -> VisualTracker:
    result = VisualTracker(CONFIG)
    for i, T in enumerate(walk(60)):
        result.track(frame(wall, i, T))
        while result.adjust():
            pass
    return result


def drift(tracker: VisualTracker) -> None:
    """Let the keyframes drift by up to 4 cm and 1.5 degrees."""
    poses = np.stack([keyframe.T_map_camera for keyframe in tracker.map.keyframes])
    share = np.linspace(0.0, 1.0, len(poses))
    twists = share[:, None] * np.array([0.03, -0.02, 0.02, 0.02, -0.015, 0.01])
    move(tracker.map, rigid.exp(twists) @ poses, np.ones(len(poses)))


def worst(tracker: VisualTracker) -> float:
    path = walk(60)
    return max(
        float(np.linalg.norm(k.T_map_camera[:3, 3] - path[k.frame_index][:3, 3]))
        for k in tracker.map.keyframes
    )


def test_drift_is_taken_back(tracker: VisualTracker) -> None:
    drift(tracker)
    before, last = worst(tracker), len(tracker.map.keyframes) - 1
    assert before > 0.02
    lock = threading.RLock()
    assert adjust_all(
        tracker.map, 0, last, Lens(CAMERA), CONFIG.adjustment, with_scale=False, lock=lock
    )
    assert worst(tracker) < 0.006
    assert all(keyframe.scale == 1.0 for keyframe in tracker.map.keyframes)


def test_given_poses_place_the_first_keyframe_too(tracker: VisualTracker) -> None:
    keyframes = tracker.map.keyframes
    path, aside = walk(60), np.eye(4)
    for keyframe in keyframes:
        keyframe.given = GivenPose(path[keyframe.frame_index], PoseSigma(0.01, 0.005))
    aside[0, 3] = 0.04
    move(
        tracker.map, np.stack([aside @ k.T_map_camera for k in keyframes]), np.ones(len(keyframes))
    )
    assert worst(tracker) > 0.03
    lens, lock = Lens(CAMERA), threading.RLock()
    last = len(keyframes) - 1
    assert adjust_all(tracker.map, 0, last, lens, CONFIG.adjustment, False, lock)
    assert worst(tracker) < 0.01


def test_the_change_of_scale_is_kept_with_each_keyframe(tracker: VisualTracker) -> None:
    poses = np.stack([keyframe.T_map_camera for keyframe in tracker.map.keyframes])
    poses[:, :3, 3] *= 1.05
    move(tracker.map, poses, np.full(len(poses), 1.05))
    assert all(keyframe.scale == 1.05 for keyframe in tracker.map.keyframes)
    lock, last = threading.RLock(), len(poses) - 1
    lens = Lens(CAMERA)
    assert adjust_all(tracker.map, 0, last, lens, CONFIG.adjustment, with_scale=True, lock=lock)
    # Measured depth holds the scale, so the growth is undone.
    assert all(abs(keyframe.scale - 1.0) < 0.01 for keyframe in tracker.map.keyframes)
    assert worst(tracker) < 0.006


def test_newer_keyframes_and_too_many_keyframes(
    tracker: VisualTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift(tracker)
    keyframes, lock = tracker.map.keyframes, threading.RLock()
    last = len(keyframes) - 3
    relative = rigid.inverse(keyframes[last].T_map_camera) @ keyframes[-1].T_map_camera
    lens = Lens(CAMERA)
    assert adjust_all(tracker.map, 0, last, lens, CONFIG.adjustment, False, lock)
    still = rigid.inverse(keyframes[last].T_map_camera) @ keyframes[-1].T_map_camera
    assert np.allclose(still, relative, atol=1e-9)
    monkeypatch.setattr("e2e_slam_ros.tracking.global_adjustment._MOST_KEYFRAMES", 2)
    assert not adjust_all(tracker.map, 0, last, lens, CONFIG.adjustment, False, lock)


def test_a_sparse_block_equals_the_dense_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    blocks, inverse = generator.normal(size=(9, 3, 6)), generator.normal(size=(5, 3, 3))
    point, camera = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4]), np.array([0, 1, 1, 0, 2, 1, 2, 0, 2])
    dense = cross_block(blocks, point, camera, 5, 18)
    monkeypatch.setattr(cross_module, "_MOST_DENSE", 0)
    sparse = cross_block(blocks, point, camera, 5, 18)
    assert not isinstance(sparse, np.ndarray) and np.array_equal(as_dense(sparse), dense)
    assert np.allclose(as_dense(times_blocks(inverse, sparse)), times_blocks(inverse, dense))
