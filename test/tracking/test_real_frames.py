"""The tracker on recordings: errors against motion capture, and what is honestly lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.evaluation.trajectory.tracking_protocol import TrackingRun, run_tracking
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

CONFIG = Config().tracking


@pytest.fixture(scope="module")
def rpy(shared_data: Path) -> FrameReader:
    return open_reader(shared_data / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt")


@pytest.fixture(scope="module")
def tracked(rpy: FrameReader) -> TrackingRun:
    return run_tracking(FrameSlice(rpy, 0, 60), CONFIG, None)


def test_fast_turns_of_a_rolling_shutter(tracked: TrackingRun) -> None:
    """The camera looks up and down again within 60 frames, at up to 2 rad/s."""
    assert tracked.score.tracked == 1.0
    assert tracked.score.ate_se3_m is not None and tracked.score.ate_se3_m < 0.012
    assert 0.010 < tracked.score.readout_s < 0.035


def test_without_the_shutter_it_is_twice_as_far_off(
    rpy: FrameReader, tracked: TrackingRun
) -> None:
    config = Config().with_values({"tracking.readout_s": 0.0}).tracking
    ignorant = run_tracking(FrameSlice(rpy, 0, 60), config, None)
    assert ignorant.score.ate_se3_m is not None and tracked.score.ate_se3_m is not None
    assert ignorant.score.ate_se3_m > 1.5 * tracked.score.ate_se3_m
    assert ignorant.score.readout_s == 0.0


def test_the_front_end_is_fast_and_places_are_kept(tracked: TrackingRun) -> None:
    assert len(tracked.sequence.landmarks) > 1000
    assert 5 < len(tracked.sequence.keyframes) < 60


def test_large_steps_between_images(shared_data: Path) -> None:
    """8 cm and 4 degrees from frame to frame: the prediction often fails."""
    rooms = open_reader(shared_data / "hololens" / "rooms_000")
    run = run_tracking(FrameSlice(rooms, 0, 40), CONFIG, None)
    assert run.score.tracked == 1.0
    assert run.score.ate_se3_m is not None and run.score.ate_se3_m < 0.03


def test_a_dark_cabinet_is_tracked_or_lost_but_not_wrong(shared_data: Path) -> None:
    cabinet = open_reader(shared_data / "tum" / "rgbd_dataset_freiburg3_cabinet_keyframes")
    run = run_tracking(FrameSlice(cabinet, 0, 20), CONFIG, None)
    both = np.isfinite(run.sequence.online).all((1, 2)) & np.isfinite(run.true).all((1, 2))
    if both.sum() >= 3:
        assert run.score.ate_se3_m is not None and run.score.ate_se3_m < 0.25


def test_half_the_focal_length_is_noticed(rpy: FrameReader) -> None:
    """Depth says how far things are: with another camera's intrinsics few landmarks agree."""

    def share(frames: list[Frame]) -> float:
        tracker, agreeing = VisualTracker(CONFIG), []
        for one in frames:
            answer = tracker.track(one)
            while tracker.adjust():
                pass
            agreeing.append(answer.inliers)
        return float(np.mean(agreeing[1:]))

    right = [rpy[i] for i in range(12)]
    wrong = [replace(one, camera=replace(one.camera, fx=260.0, fy=260.0)) for one in right]
    assert share(wrong) < 0.8 * share(right)
