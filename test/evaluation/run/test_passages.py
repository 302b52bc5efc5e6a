"""The passage of a run where depth is worst is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from e2e_slam_ros.evaluation.depth.metrics import depth_metrics
from e2e_slam_ros.evaluation.run.artifacts import write_run
from e2e_slam_ros.evaluation.run.passages import worst_passage
from e2e_slam_ros.evaluation.run.summary import KeyframeRecord
from e2e_slam_ros.evaluation.run.tables import run_table


def record(index: int, error: float | None) -> KeyframeRecord:
    wall = torch.full((4, 4), 2.0)
    depth = None if error is None else depth_metrics(wall * (1.0 + error), wall, 0.1, 8.0)
    pose = np.eye(4)
    return KeyframeRecord(index, 200 + 2 * index, index, "x", pose, depth, depth, 0, 0, 0, 0)


def test_the_worst_passage_is_named_by_its_frames() -> None:
    errors = [0.1] * 20 + [0.4, 0.5, 0.1, 0.45, 0.5] + [0.1] * 10 + [0.3] + [0.1] * 3
    found = worst_passage([record(i, error) for i, error in enumerate(errors)])
    assert found is not None
    assert (found.first_frame, found.last_frame, found.keyframes) == (240, 248, 5)
    assert found.abs_rel == pytest.approx(0.39, abs=1e-5)
    assert found.elsewhere == pytest.approx(0.1 + 0.2 / 34, abs=1e-5)
    assert "frames 240 to 248 (5 keyframes): 0.390" in str(found)


def test_even_short_or_unknown_errors_have_no_worst_passage() -> None:
    assert worst_passage([record(i, 0.1 + 0.001 * i) for i in range(20)]) is None
    assert worst_passage([record(i, float(i)) for i in range(5)]) is None
    assert worst_passage([record(i, None) for i in range(20)]) is None


def test_keyframes_without_true_depth_are_left_out() -> None:
    errors = [0.1] * 10 + [None, 0.6, None] + [0.1] * 10
    found = worst_passage([record(i, error) for i, error in enumerate(errors)])
    assert found is not None and found.first_frame == found.last_frame == 222
    assert "frame 222 (1 keyframe)" in str(found)


def test_table_and_page_name_it(network_run: Any, tmp_path: Path) -> None:
    errors = [0.1] * 10 + [0.5] * 4 + [0.1] * 6
    records = tuple(record(i, error) for i, error in enumerate(errors))
    summary = replace(network_run.summary, records=records)
    rows = {row.label: row.cells for row in run_table(summary).rows}
    assert rows["Worst passage, abs_rel"][0] == "0.500"
    assert "frames 220 to 226" in str(rows["Worst passage, abs_rel"][1])
    write_run(tmp_path, summary, network_run.cloud, network_run.config)
    page = (tmp_path / "report.html").read_text()
    assert "Worst passage: frames 220 to 226 (4 keyframes): 0.500; all others: 0.100" in page
    assert "could not be drawn" not in page
