"""Given poses refined while images come: none waits for the tracker, none is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.trajectory.errors import ate_rmse
from e2e_slam_ros.evaluation.trajectory.noisy_poses import NoisyPoses
from e2e_slam_ros.slam import pose_refinement
from e2e_slam_ros.slam.carried_pose import CarriedPose
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.pose_tracking import PoseTracking
from e2e_slam_ros.slam.tracker_thread import TrackerJob, TrackerThread
from e2e_slam_ros.tracking.given_pose import GivenPose, PoseSigma
from e2e_slam_ros.tracking.visual_tracker import VisualTracker


@pytest.fixture(scope="module")
def rooms(shared_data: Path) -> FrameReader:
    return open_reader(shared_data / "hololens" / "rooms_000")


@pytest.fixture
def live() -> Iterator[SlamPipeline]:
    """A live pipeline whose tracker adjusts at once: how busy the machine is changes no pose."""
    values = {"pose.refine": "on", "depth.source": "sensor"}
    config = Config().with_values(values)
    at_once = config.with_values({"runtime.offline": True})
    pipeline = SlamPipeline(config, torch.device("cpu"))
    assert pipeline.refinement is not None
    pipeline.refinement._build = lambda: PoseTracking(at_once, None, refines=True)
    yield pipeline
    pipeline.close()


def prior(frame: Frame) -> GivenPose:
    assert frame.T_map_camera is not None
    return GivenPose(frame.T_map_camera, PoseSigma())


def poses(frames: list[Frame]) -> np.ndarray:
    return np.stack([one.T_map_camera for one in frames])


def test_no_image_waits_and_the_map_gets_the_refined_poses(
    rooms: FrameReader, live: SlamPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose_refinement, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(pose_refinement, "_MAPPING_PATIENCE_S", 60.0)
    noisy = NoisyPoses(rooms, 0.03, 1.0)
    frames, true = [noisy[i] for i in range(100, 130)], [rooms[i] for i in range(100, 130)]
    assert live.refinement is not None
    reasons = []
    for one in frames:
        tracked = live.refinement.track(one)
        reasons.append(tracked.reason)
        assert tracked.T_map_camera is not None and np.isfinite(tracked.T_map_camera).all()
        located = replace(one, T_map_camera=tracked.T_map_camera)
        decision = live.choose_keyframe(located)
        if decision.is_keyframe:
            live.map_keyframe(located, decision)
        # The time until the next image.
        assert live.refinement._thread is not None
        live.refinement._thread.settle(one.stamp_ns, 60.0)
    assert reasons[0] == "not tracked yet"
    found = [live.refinement.refreshed(one) for one in frames]
    before, after = ate_rmse(poses(frames), poses(true)), ate_rmse(poses(found), poses(true))
    assert before is not None and after is not None and after < 0.7 * before


def test_a_pose_is_carried_on_as_the_given_ones_move(rooms: FrameReader) -> None:
    config = Config().with_values({"runtime.offline": True})
    thread = TrackerThread(lambda: PoseTracking(config, None, refines=True), True, print)
    first, second = rooms[100], rooms[101]
    assert first.T_map_camera is not None and second.T_map_camera is not None
    np.testing.assert_array_equal(
        thread.carried(second.stamp_ns, prior(second)), second.T_map_camera
    )
    thread.submit(TrackerJob(first, prior(first)))
    answer = thread.answer(first.stamp_ns, None)
    assert answer is not None and answer.T_map_camera is not None
    motion = np.linalg.inv(first.T_map_camera) @ second.T_map_camera
    np.testing.assert_allclose(
        thread.carried(second.stamp_ns, prior(second)), answer.T_map_camera @ motion, atol=1e-9
    )
    thread.close()


@pytest.mark.parametrize("noise_m", [0.0, 0.05])
def test_of_two_ways_to_carry_on_the_better_one_is_used(noise_m: float) -> None:
    """The camera turns and speeds up; given poses have an offset, and noise or none."""
    generator, carried, offset = np.random.default_rng(0), CarriedPose(), np.eye(4)
    offset[:3, 3] = 1.0, 2.0, 3.0
    wrong: dict[str, list[float]] = {"carried": [], "given": []}
    last_given, last_true = np.eye(4), np.eye(4)
    for i in range(60):
        true = np.eye(4)
        true[0, 3] = 0.3 * np.sin(i / 10.0)
        given = offset @ true
        given[:3, 3] += generator.normal(0.0, noise_m, 3)
        there = carried.at(33_000_000 * i, given)
        if i > 20:
            wrong["carried"].append(np.linalg.norm((there - true)[:3, 3]))
            as_given = last_true @ np.linalg.inv(last_given) @ given
            wrong["given"].append(np.linalg.norm((as_given - true)[:3, 3]))
        carried.found(33_000_000 * i, given, true)
        last_given, last_true = given, true
    assert np.mean(wrong["carried"]) < (0.006 if noise_m else 1e-9)
    assert noise_m == 0.0 or np.mean(wrong["given"]) > 0.1


class Held:
    """A tracker that is built when it is allowed to."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self) -> PoseTracking:
        self.go.wait(60.0)
        return PoseTracking(Config(), None, refines=True)


def test_of_images_that_wait_the_oldest_is_left_out_and_no_mapped_one(rooms: FrameReader) -> None:
    held = Held()
    thread = TrackerThread(held, False, print)
    frames = [rooms[100 + i] for i in range(12)]
    for i, one in enumerate(frames):
        thread.submit(TrackerJob(one, prior(one)))
        assert thread.answer(one.stamp_ns, 0.0) is None
        if i in (3, 4):
            thread.chosen(one)
    waiting = [frames.index(job.frame) for job in thread._jobs]
    assert waiting == [0, 3, 4, 9, 10, 11]
    held.go.set()
    answer = thread.answer(frames[-1].stamp_ns, 60.0)
    assert answer is not None and answer.T_map_camera is not None
    assert thread.tracking is not None and thread._jobs == []
    assert {frames[3].stamp_ns, frames[4].stamp_ns} <= stamps_of_keyframes(thread.tracking)
    thread.close()


def stamps_of_keyframes(tracking: PoseTracking) -> set[int]:
    visual = tracking._visual
    assert isinstance(visual, VisualTracker)
    return {keyframe.stamp_ns for keyframe in visual.map.keyframes}


def test_what_waits_is_forgotten_at_a_restart(rooms: FrameReader) -> None:
    held = Held()
    thread = TrackerThread(held, False, print)
    frames = [rooms[100 + i] for i in range(3)]
    for one in frames:
        thread.submit(TrackerJob(one, prior(one)))
    thread.restart()
    assert thread._jobs == []
    held.go.set()
    thread.submit(TrackerJob(frames[0], prior(frames[0])))
    answer = thread.answer(frames[0].stamp_ns, 60.0)
    assert answer is not None and answer.keyframe == 0
    thread.close()


def test_an_error_costs_one_frame_and_is_told(rooms: FrameReader) -> None:
    told: list[Exception] = []
    thread = TrackerThread(lambda: PoseTracking(Config(), None, refines=True), False, told.append)
    bad = replace(rooms[100], image=np.zeros((4, 4), np.uint8))
    thread.submit(TrackerJob(bad, prior(bad)))
    assert thread.answer(bad.stamp_ns, 60.0) is None and len(told) == 1
    good = rooms[101]
    thread.submit(TrackerJob(good, prior(good)))
    answer = thread.answer(good.stamp_ns, 60.0)
    assert answer is not None and answer.T_map_camera is not None and len(told) == 1
    thread.close()


def test_a_tracker_that_cannot_be_built_is_told_and_given_poses_go_on(rooms: FrameReader) -> None:
    told: list[Exception] = []

    def build() -> PoseTracking:
        raise RuntimeError("no weights")

    thread = TrackerThread(build, False, told.append)
    one = rooms[100]
    thread.submit(TrackerJob(one, prior(one)))
    assert thread.answer(one.stamp_ns, 60.0) is None
    np.testing.assert_array_equal(thread.carried(one.stamp_ns, prior(one)), one.T_map_camera)
    thread.chosen(one)
    thread.close()
    assert [str(error) for error in told] == ["no weights"]
