"""A few recorded frames, from the camera to the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.evaluation.run.artifacts import write_run

FOLDERS = ["hololens/rooms_000", "tum/rgbd_dataset_freiburg1_desk_9frames"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_map_of_recorded_frames_lies_on_what_the_sensor_measured(
    folder: str, shared_data: Path, tmp_path: Path, play_run: Callable[..., Any]
) -> None:
    run = play_run(FrameSlice(TumReader(shared_data / folder), 0, 12))
    files = write_run(tmp_path, run.summary, run.cloud, run.config)
    assert files.failures == ()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["keyframes"] >= 1
    assert metrics["map_fit"]["worst_keyframe_m"] < 0.02
    quality = metrics["map_quality"]
    assert quality["f_score_5"] > 0.97 and quality["in_empty_space"] < 0.02
    assert metrics["trajectory"]["ate_rmse_m"] == pytest.approx(0.0, abs=1e-6)
    page = (tmp_path / "report.html").read_text()
    assert "could not be drawn" not in page
    assert len(page) < 5_000_000
    for reason in run.summary.skipped:
        assert reason in page
