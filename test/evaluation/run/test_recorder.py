from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.run.recorder import RunRecorder
from e2e_slam_ros.evaluation.run.truth import ObservedReader
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Frames = Callable[[int], list[Frame]]
EMPTY = SurfelCloud(
    np.zeros((0, 3), np.float32),
    np.zeros((0, 3), np.float32),
    np.zeros((0, 3), np.uint8),
    np.zeros(0, np.float32),
)


def test_an_rgbd_run_is_summed_up(wall_run: Any) -> None:
    summary = wall_run.summary
    assert (summary.sequence, summary.frames, summary.dropped) == ("wall", 30, 0)
    assert summary.keyframes == len(summary.records) > 5
    assert summary.surfels == len(wall_run.cloud) > 1000
    assert summary.truth_is_input
    assert summary.depth.abs_rel == 0.0
    assert summary.trajectory_metrics.ate_unaligned_rmse_m == 0.0
    assert summary.map_fit.median_m < 0.02
    assert set(summary.latency_ms) == {"image_to_tf", "prepare", "depth", "fuse"}
    assert summary.latency_ms["image_to_tf"].p50 == 1.0
    assert summary.latency_ms["image_to_tf"].count == 30


def test_depth_is_measured_before_and_after_refinement(network_run: Any) -> None:
    summary = network_run.summary
    assert not summary.truth_is_input
    assert summary.depth.abs_rel == pytest.approx(0.1, rel=1e-4)
    assert summary.depth_unrefined.abs_rel == 0.0


def test_a_frame_without_a_pose_is_a_frame_that_was_not_tracked(
    play_run: Callable[..., Any], list_reader: Callable[..., Any], wall_frames: Frames
) -> None:
    summary = play_run(list_reader(wall_frames(5)), tracked=False).summary
    assert summary.frames == 5
    assert len(summary.trajectory.stamps_ns) == 0
    assert summary.trajectory_metrics is None


def test_pictures_stay_few_however_long_the_run(
    play_run: Callable[..., Any], list_reader: Callable[..., Any], wall_frames: Frames
) -> None:
    summary = play_run(list_reader(wall_frames(80))).summary
    assert summary.keyframes > 16
    assert len(summary.samples) == 8
    picked = [sample.record.index for sample in summary.samples]
    assert picked == sorted(set(picked))
    assert picked[-1] >= 0.75 * summary.keyframes, "from the whole run"


def test_threads_may_report_at_the_same_time() -> None:
    recorder = RunRecorder(None, Config())

    def report(thread: int) -> None:
        for i in range(200):
            recorder.on_frame(1000 * i + thread, np.eye(4))
            recorder.on_latency("stage", float(i))

    threads = [threading.Thread(target=report, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = recorder.finish(EMPTY, 0, {}, 1.0)
    assert summary.frames == 800
    assert summary.latency_ms["stage"].count == 800
    assert (np.diff(summary.trajectory.stamps_ns) > 0).all()


def test_a_pose_is_copied_when_it_is_noted() -> None:
    recorder = RunRecorder(None, Config())
    pose = np.eye(4)
    recorder.on_frame(1, pose)
    pose[:] = 9.0
    summary = recorder.finish(EMPTY, 0, {}, 1.0)
    assert np.array_equal(summary.trajectory.estimated[0], np.eye(4))


def test_a_figure_that_cannot_be_computed_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no more numbers")

    monkeypatch.setattr("e2e_slam_ros.evaluation.run.recorder.trajectory_metrics", broken)
    recorder = RunRecorder(None, Config())
    recorder.on_frame(1, np.eye(4))
    summary = recorder.finish(EMPTY, 0, {}, 1.0)
    assert summary.trajectory_metrics is None
    assert any("no more numbers" in note for note in summary.notes)


def test_truth_is_found_by_stamp_long_after_the_frame_was_played(
    list_reader: Callable[..., Any], wall_frames: Frames
) -> None:
    frames = wall_frames(40)
    truth = ObservedReader(list_reader(frames))
    assert len(list(truth)) == 40
    for frame in (frames[0], frames[23], frames[39]):
        pose = truth.true_pose(frame.stamp_ns)
        assert pose is not None
        assert np.array_equal(pose, frame.T_map_camera)
    depth = truth.true_depth(frames[7].stamp_ns, 24, 32, undistort=True)
    assert depth is not None
    assert depth.shape == (24, 32)
    assert truth.true_pose(frames[7].stamp_ns + 1) is None
    assert truth.true_depth(12345, 24, 32, undistort=True) is None


def test_frames_are_decoded_once_when_the_observed_reader_is_played(
    list_reader: Callable[..., Any], wall_frames: Frames
) -> None:
    reader = list_reader(wall_frames(10))
    truth = ObservedReader(reader)
    for frame in truth:
        reader.frames[frame.index] = None  # a second look would fail
        assert truth.true_depth(frame.stamp_ns, 48, 64, undistort=True) is not None
        assert truth.true_pose(frame.stamp_ns) is not None


def test_unreadable_frames_have_no_truth_and_are_left_out_of_play(wall_frames: Frames) -> None:
    class Broken:
        name = "broken"
        report = None

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Frame:
            if index == 1:
                raise DataError("unreadable")
            return wall_frames(3)[index]

    truth = ObservedReader(Broken())  # type: ignore[arg-type]
    assert [frame.index for frame in truth] == [0, 2]
    assert truth.true_pose(100_000_000) is None
    assert truth.true_depth(100_000_000, 48, 64, undistort=True) is None
