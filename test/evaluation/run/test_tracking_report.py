"""The report of a run whose poses come from the images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.evaluation.run.artifacts import write_run
from e2e_slam_ros.evaluation.run.charts import central_landmarks
from e2e_slam_ros.evaluation.run.comparison import ComparedRun, comparison_html
from e2e_slam_ros.evaluation.run.recorder import RunRecorder
from e2e_slam_ros.evaluation.run.tracking_history import TrackingHistory
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.live_mapper import LiveMapper
from e2e_slam_ros.tracking.state import TrackingState

VALUES = {"pose.source": "visual", "depth.source": "network", "runtime.offline": True}


@pytest.fixture(scope="module")
def tracked_run() -> tuple[RunRecorder, Config]:
    """Rendered images, tracked and mapped; the last two are black."""
    config = Config().with_values(VALUES)
    reader = ProceduralReader(seed=0, frames=14, width=320, height=240, texture_size=256)
    recorder = RunRecorder(reader, config)
    mapper = LiveMapper(config, torch.device("cpu"), recorder)
    assert recorder.observed is not None
    for frame in recorder.observed:
        black = np.zeros_like(frame.image)
        mapper.add(replace(frame, image=black) if frame.index >= 12 else frame)
    mapper.stop()
    assert mapper.pipeline.tracking is not None
    surfels, landmarks = mapper.pipeline.surfels, mapper.pipeline.tracking.landmarks()
    recorder.finish(surfels.snapshot(), 0, {}, 1.0, surfels.state_hash(), landmarks)
    return recorder, config


def test_states_landmarks_and_scale_are_in_the_figures(
    tracked_run: tuple[RunRecorder, Config], tmp_path: Path
) -> None:
    recorder, config = tracked_run
    assert recorder.summary is not None and recorder.cloud is not None
    assert write_run(tmp_path, recorder.summary, recorder.cloud, config).failures == ()
    figures = json.loads((tmp_path / "metrics.json").read_text())
    tracking, trajectory = figures["tracking"], figures["trajectory"]
    assert sum(tracking["frames"].values()) == figures["frames"] == 14
    assert tracking["frames"]["lost"] == 2 and tracking["times_lost"] == 1
    assert tracking["landmarks"] > 100
    assert 0.0 < trajectory["ate_sim3_rmse_m"] <= trajectory["ate_rmse_m"] < 0.1
    assert trajectory["scale"] > 0.0


def test_the_page_shows_them(tracked_run: tuple[RunRecorder, Config], tmp_path: Path) -> None:
    recorder, config = tracked_run
    assert recorder.summary is not None and recorder.cloud is not None
    write_run(tmp_path, recorder.summary, recorder.cloud, config)
    page = (tmp_path / "report.html").read_text()
    for words in (
        "State of the tracker",
        "Landmarks that agree with the pose",
        "Scale: factor",
        "Trajectory ATE, scaled",
        "lost 1 times",
    ):
        assert words in page
    assert "could not be drawn" not in page


def test_landmarks_that_lie_far_away_do_not_shrink_the_plan(
    tracked_run: tuple[RunRecorder, Config],
) -> None:
    summary = tracked_run[0].summary
    assert summary is not None and summary.tracking is not None
    near = np.random.default_rng(0).normal(size=(200, 3))
    far = np.concatenate([near, [[1e4, 0.0, 0.0]]])
    odd = replace(summary, tracking=replace(summary.tracking, landmarks=far))
    assert np.abs(central_landmarks(odd)).max() < 10.0
    none = replace(summary, tracking=replace(summary.tracking, landmarks=np.zeros((0, 3))))
    assert central_landmarks(none).shape == (0, 3)


def test_two_runs_on_one_page(tracked_run: tuple[RunRecorder, Config], network_run) -> None:
    recorder, _ = tracked_run
    assert recorder.summary is not None and recorder.cloud is not None
    page = comparison_html(
        [
            ComparedRun("given <poses>", network_run.summary, network_run.cloud, "report.html"),
            ComparedRun("images", recorder.summary, recorder.cloud, "images/report.html"),
        ],
        "a machine",
    )
    assert "given &lt;poses&gt;" in page and 'href="images/report.html"' in page
    assert "True metres per metre" in page and "could not be drawn" not in page


def test_history_counts_each_time_the_camera_got_lost() -> None:
    t, lost = TrackingState.TRACKING, TrackingState.LOST
    states = [(i, state, 9) for i, state in enumerate((lost, t, t, lost, lost, t))]
    history = TrackingHistory.of(states[::-1], None)
    assert history is not None and history.times_lost == 2
    assert history.stamps_ns.tolist() == [0, 1, 2, 3, 4, 5]
