"""The tracker before a wall: motion is known exactly."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid, window_adjustment
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.offline import track_sequence
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.visual_tracker import VisualTracker
from tracking.plane import CAMERA, WALL_M, depth, frame, pose, texture, walk

CONFIG: TrackingConfig = Config().with_values({"tracking.corners": 200}).tracking


def position_errors(estimated: np.ndarray, true: list[np.ndarray]) -> np.ndarray:
    return np.linalg.norm(estimated[:, :3, 3] - np.stack(true)[:, :3, 3], axis=1)


def run(tracker: VisualTracker, frames: list[Frame]) -> list[TrackedPose]:
    """Lock-step, depth from the frames."""
    poses = []
    for one in frames:
        poses.append(tracker.track(one))
        while tracker.adjust():
            pass
    return poses


def with_image(one: Frame, image: np.ndarray) -> Frame:
    return replace(one, image=np.ascontiguousarray(image.astype(np.uint8)))


@pytest.fixture
def frames(wall: np.ndarray) -> list[Frame]:
    return [frame(wall, i, T) for i, T in enumerate(walk(60))]


def test_measured_depth_gives_the_true_path(frames: list[Frame]) -> None:
    result = track_sequence(frames, VisualTracker(CONFIG))
    assert result.tracked == 1.0
    errors = position_errors(result.T_map_camera, [f.T_map_camera for f in frames])
    assert np.sqrt((errors**2).mean()) < 0.004 and errors.max() < 0.01
    assert position_errors(result.online, [f.T_map_camera for f in frames]).max() < 0.015
    assert result.readout_s < 0.002


def test_wrong_depth_is_put_right_by_motion(wall: np.ndarray) -> None:
    """A tenth of noise on every keyframe's depth, independent from one to the next."""
    path, generator = walk(60), np.random.default_rng(0)

    def noisy(one: Frame) -> DepthImage:
        values = depth(path[one.index]) * np.float32(1.0 + 0.1 * generator.normal())
        return DepthImage(values, CAMERA, 0.2)

    frames = [frame(wall, i, T) for i, T in enumerate(path)]
    result = track_sequence(frames, VisualTracker(CONFIG), noisy)
    assert result.tracked == 1.0
    estimated = result.T_map_camera[:, :3, 3]
    true = np.stack(path)[:, :3, 3]
    scale = (estimated * true).sum() / (estimated * estimated).sum()
    assert 0.85 < scale < 1.15
    assert np.sqrt(((scale * estimated - true) ** 2).sum(1).mean()) < 0.01


def test_landmarks_that_one_keyframe_has_seen_move_with_it(frames: list[Frame]) -> None:
    """An adjustment moves the keyframe; they are where the keyframe sees them all the same."""
    noise = np.random.default_rng(0)
    tracker, errors = VisualTracker(CONFIG), []
    run(
        tracker,
        [
            replace(f, depth=f.depth + noise.normal(0.0, 0.02, f.depth.shape).astype(np.float32))
            for f in frames
            if f.depth is not None
        ],
    )
    landmarks, lens = tracker.map.landmarks, Lens(CAMERA)
    for keyframe in tracker.map.keyframes:
        seen = keyframe.seen
        alone = landmarks.known(seen.ids) & (landmarks.observer_counts(seen.ids) == 1)
        alone &= landmarks.anchor[seen.ids] == keyframe.index
        local = rigid.transform_points(
            rigid.inverse(keyframe.T_map_camera), landmarks.position[seen.ids[alone]]
        )
        errors.append(np.linalg.norm(lens.project(local) - seen.ideal[alone], axis=1))
    error = np.concatenate(errors)
    assert len(error) > 30
    assert error.max() < 0.1  # pixels; the readout time in use has changed by a little


def test_the_same_poses_twice(frames: list[Frame]) -> None:
    first = track_sequence(frames, VisualTracker(CONFIG))
    second = track_sequence(frames, VisualTracker(CONFIG))
    assert np.array_equal(first.T_map_camera, second.T_map_camera)
    assert np.array_equal(first.online, second.online)


def test_the_covariance_bounds_the_error(frames: list[Frame]) -> None:
    for answer, one in zip(run(VisualTracker(CONFIG), frames)[1:], frames[1:], strict=True):
        assert answer.covariance is not None and answer.T_map_camera is not None
        assert one.T_map_camera is not None
        off = rigid.log(rigid.inverse(one.T_map_camera) @ answer.T_map_camera)
        assert np.linalg.norm(off[:3]) < 0.01
        assert 0.0 < np.sqrt(np.diag(answer.covariance)).max() < 0.05


def test_what_keyframes_state_of_their_relative_poses_bounds_the_error(
    frames: list[Frame],
) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames)
    true = {one.stamp_ns: one.T_map_camera for one in frames}
    keyframes = tracker._front.map.keyframes
    rays = np.array([[x, y, 1.0] for x in (-0.5, 0.0, 0.5) for y in (-0.4, 0.0, 0.4)])
    pixel_rad = 1.0 / CAMERA.fx
    for before, after in zip(keyframes[1:], keyframes[2:], strict=False):
        paths = (
            (before.T_map_camera, after.T_map_camera),
            (true[before.stamp_ns], true[after.stamp_ns]),
        )
        seen = [
            rigid.transform_points(rigid.inverse(T_before) @ T_after, WALL_M * rays)
            for T_before, T_after in paths
        ]
        off = np.subtract(*(points[:, :2] / points[:, 2:] for points in seen))
        assert np.sqrt(np.mean(off**2)) < after.sigma_rad < pixel_rad


def test_depth_that_comes_late(wall: np.ndarray) -> None:
    path, tracker = walk(60), VisualTracker(CONFIG)
    bare = [frame(wall, i, T, with_depth=False) for i, T in enumerate(path)]
    answers = [tracker.track(one) for one in bare[:4]]
    assert [a.state for a in answers] == [TrackingState.INITIALISING] * 4
    assert answers[0].T_map_camera is not None and answers[3].T_map_camera is None
    assert tracker.give_depth(bare[0].stamp_ns, DepthImage(depth(path[0]), CAMERA, 0.01))
    answer = tracker.track(bare[4])
    assert answer.state == TrackingState.TRACKING and answer.T_map_camera is not None
    assert np.linalg.norm(answer.T_map_camera[:3, 3] - path[4][:3, 3]) < 0.01


def test_one_depth_image_and_never_another(wall: np.ndarray) -> None:
    """After the first keyframe new corners get their depth from motion alone."""
    path = walk(60)
    given = {0: DepthImage(depth(path[0]), CAMERA, 0.01)}
    frames = [frame(wall, i, T) for i, T in enumerate(path)]
    result = track_sequence(frames, VisualTracker(CONFIG), lambda one: given.get(one.index))
    assert result.tracked == 1.0
    assert position_errors(result.T_map_camera, path).max() < 0.03


def test_no_depth_at_all_is_no_map(wall: np.ndarray) -> None:
    frames = [frame(wall, i, T) for i, T in enumerate(walk(60)[:20])]
    result = track_sequence(frames, VisualTracker(CONFIG), lambda one: None)
    assert set(result.states) == {TrackingState.INITIALISING}


def test_tracking_does_not_wait_for_the_adjustment(frames: list[Frame]) -> None:
    tracker, stop = VisualTracker(CONFIG), threading.Event()

    def back_end() -> None:
        while not stop.is_set():
            if not tracker.adjust():
                stop.wait(0.002)

    worker = threading.Thread(target=back_end)
    worker.start()
    try:
        answers = [tracker.track(one) for one in frames]
    finally:
        stop.set()
        worker.join()
    for answer, one in zip(answers, frames, strict=True):
        assert answer.T_map_camera is not None and one.T_map_camera is not None
        assert np.linalg.norm(answer.T_map_camera[:3, 3] - one.T_map_camera[:3, 3]) < 0.03


def test_adjustments_that_never_come(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    for one in frames:
        answer = tracker.track(one)
        assert answer.T_map_camera is not None and one.T_map_camera is not None
        assert np.linalg.norm(answer.T_map_camera[:3, 3] - one.T_map_camera[:3, 3]) < 0.03


def test_a_back_end_that_lags_adjusts_the_newest_keyframe_for_all(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, solved = VisualTracker(CONFIG), []
    monkeypatch.setattr(
        window_adjustment, "adjust", lambda *given: solved.append(given) or adjust(*given)
    )
    answers = [tracker.track(one) for one in frames]
    made = sum(answer.keyframe is not None for answer in answers)
    worked = 0
    while tracker.adjust():
        worked += 1
    assert worked == made > 3 and len(solved) == 1
    last = tracker.map.keyframes[-1]
    true = next(one for one in frames if one.stamp_ns == last.stamp_ns).T_map_camera
    assert true is not None and last.adjusted
    assert np.linalg.norm(last.T_map_camera[:3, 3] - true[:3, 3]) < 0.02


def test_turning_alone_invents_no_translation(wall: np.ndarray) -> None:
    path = [
        pose(turn=(8 * np.sin(a), 12 * np.sin(2 * a), 10 * np.sin(a)))
        for a in np.linspace(0, 6, 60)
    ]
    answers = run(VisualTracker(CONFIG), [frame(wall, i, T) for i, T in enumerate(path)])
    found = np.stack([a.T_map_camera for a in answers if a.T_map_camera is not None])
    moved = np.linalg.norm(found[:, :3, 3], axis=1)
    # Over eight textures the largest was 3.6 to 7.5 mm.
    assert len(found) == 60 and np.percentile(moved, 95) < 0.006 and moved.max() < 0.008
    for answer, T in zip(answers, path, strict=True):
        assert answer.T_map_camera is not None
        assert rigid.angle_deg(rigid.inverse(T) @ answer.T_map_camera) < 0.2


def test_standing_still_makes_nothing_grow(wall: np.ndarray) -> None:
    tracker, generator = VisualTracker(CONFIG), np.random.default_rng(0)
    still = frame(wall, 0, pose())
    answers = []
    for i in range(240):  # 60 s at 4 Hz
        noisy = np.clip(still.image + generator.normal(0, 2, still.image.shape), 0, 255)
        answers += run(
            tracker, [replace(with_image(still, noisy), stamp_ns=10**10 + i * 250_000_000)]
        )
    assert len(tracker.map.keyframes) == 1
    last = answers[-1].T_map_camera
    assert last is not None and np.linalg.norm(last[:3, 3]) < 0.005
    assert len(tracker.map.landmarks) <= CONFIG.corners


def test_images_without_texture_are_never_a_map(frames: list[Frame]) -> None:
    for grey in (0, 128, 255):
        blank = [with_image(one, np.full_like(one.image, grey)) for one in frames[:10]]
        answers = run(VisualTracker(CONFIG), blank)
        assert all(a.T_map_camera is None and "corners" in a.reason for a in answers)


def test_black_images_are_lost_at_once_and_found_again(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames[:20])
    keyframes = len(tracker.map.keyframes)
    black = [with_image(one, np.zeros_like(one.image)) for one in frames[20:24]]
    answers = run(tracker, black)
    assert all(a.state == TrackingState.LOST and a.T_map_camera is None for a in answers)
    assert len(tracker.map.keyframes) == keyframes
    again = run(tracker, frames[24:30])
    assert again[0].T_map_camera is not None
    assert frames[29].T_map_camera is not None and again[-1].T_map_camera is not None
    off = again[-1].T_map_camera[:3, 3] - frames[29].T_map_camera[:3, 3]
    assert np.linalg.norm(off) < 0.02


def test_kidnapped_to_another_place_and_back(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames[:30])
    elsewhere = [frame(texture(99), 30 + i, T) for i, T in enumerate(walk(60)[:10])]
    answers = run(tracker, elsewhere)
    assert all(a.state == TrackingState.LOST for a in answers[2:])
    back = [replace(one, stamp_ns=one.stamp_ns + 10**9) for one in frames[10:20]]
    answers = run(tracker, back)
    assert answers[0].state == TrackingState.RELOCALISED
    assert answers[-1].state == TrackingState.TRACKING
    assert answers[-1].T_map_camera is not None and frames[19].T_map_camera is not None
    off = answers[-1].T_map_camera[:3, 3] - frames[19].T_map_camera[:3, 3]
    assert np.linalg.norm(off) < 0.02


def test_blurred_images_are_tracked_or_lost_never_wrong(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames[:20])
    for sigma in (3.0, 6.0, 15.0):
        one = with_image(frames[20], cv2.GaussianBlur(frames[20].image, (0, 0), sigma))
        (answer,) = run(tracker, [replace(one, stamp_ns=one.stamp_ns + int(sigma * 1e6))])
        if answer.T_map_camera is not None and one.T_map_camera is not None:
            assert np.linalg.norm(answer.T_map_camera[:3, 3] - one.T_map_camera[:3, 3]) < 0.05


def test_a_jump_of_exposure(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames[:20])
    bright = [with_image(one, np.clip(one.image * 1.5 + 20, 0, 255)) for one in frames[20:40]]
    answers = run(tracker, bright)
    assert sum(a.T_map_camera is None for a in answers) <= 1
    assert answers[-1].T_map_camera is not None and frames[39].T_map_camera is not None
    assert np.linalg.norm(answers[-1].T_map_camera[:3, 3] - frames[39].T_map_camera[:3, 3]) < 0.03


def test_nine_of_ten_frames_dropped(wall: np.ndarray) -> None:
    frames = [frame(wall, i, T) for i, T in enumerate(walk(240))][::10]
    result = track_sequence(frames, VisualTracker(CONFIG))
    assert result.tracked == 1.0
    assert position_errors(result.T_map_camera, [f.T_map_camera for f in frames]).max() < 0.02


def test_repeated_and_reversed_stamps_are_refused(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames[:10])
    for old in (frames[9], frames[3]):
        (answer,) = run(tracker, [old])
        assert answer.T_map_camera is None and "stamp" in answer.reason
    (answer,) = run(tracker, [frames[10]])
    assert answer.T_map_camera is not None


def test_another_camera_is_refused(frames: list[Frame]) -> None:
    tracker = VisualTracker(CONFIG)
    run(tracker, frames[:10])
    other = replace(frames[10], camera=replace(CAMERA, fx=300.0, fy=300.0))
    (answer,) = run(tracker, [other])
    assert answer.T_map_camera is None and "camera" in answer.reason
    tracker.reset()
    (answer,) = run(tracker, [other])
    assert answer.T_map_camera is not None and np.array_equal(answer.T_map_camera, np.eye(4))


def test_wide_images_are_tracked_smaller(wall: np.ndarray) -> None:
    wide = CAMERA.resized(640, 480)
    config = Config().with_values({"tracking.corners": 200, "tracking.image_width": 320}).tracking
    path = walk(60)[:20]
    frames = [frame(wall, i, T, camera=wide) for i, T in enumerate(path)]
    result = track_sequence(frames, VisualTracker(config))
    assert position_errors(result.T_map_camera, path).max() < 0.01
    assert np.isclose(np.median(result.landmarks[:, 2]), WALL_M, atol=0.02)
