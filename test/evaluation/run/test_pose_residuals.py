"""A run whose poses contradict its images says so before anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.pose_policy import T_BODY_OPTICAL
from e2e_slam_ros.evaluation.run.recorder import RunRecorder
from e2e_slam_ros.evaluation.run.report import report_html
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.run.tables import run_table
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.pipeline import SlamPipeline

Matrix = npt.NDArray[np.float64]


def run_with(wrong: Callable[[Matrix], Matrix], source: str = "sensor") -> RunSummary:
    """Map a rendered walk at changed poses."""
    config = Config().with_values({"depth.source": source})
    reader = ProceduralReader(0, 40, 160, 120)
    pipeline, recorder = SlamPipeline(config, torch.device("cpu")), RunRecorder(reader, config)
    for frame in reader:
        at = replace(frame, T_map_camera=wrong(frame.T_map_camera))
        recorder.on_frame(at.stamp_ns, at.T_map_camera)
        try:
            decision = pipeline.choose_keyframe(at)
            if decision.is_keyframe:
                recorder.on_keyframe(pipeline.map_keyframe(at, decision))
        except E2ESlamError:
            continue
    return recorder.finish(pipeline.surfels.snapshot(), 0, {}, 1.0)


WRONG: dict[str, Callable[[Matrix], Matrix]] = {
    "body": lambda pose: pose @ np.linalg.inv(T_BODY_OPTICAL),
    "OpenGL": lambda pose: pose @ np.diag([1.0, -1.0, -1.0, 1.0]),
}


@pytest.mark.parametrize("source", ["sensor", "motion_stereo"])
def test_right_poses_give_no_warning(source: str) -> None:
    summary = run_with(lambda pose: pose, source)
    assert summary.keyframes >= 4 and summary.warnings == ()
    assert run_table(summary).rows[0].label == "Frames"


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_poses_give_a_warning_that_stands_first(kind: str) -> None:
    summary = run_with(WRONG[kind])
    assert summary.map_fit is not None
    (warning,) = summary.warnings
    assert "the camera poses contradict the images" in warning
    first = run_table(summary).rows[0]
    assert first.label == "WARNING" and warning in first.cells
    page = report_html(summary, run_cloud(), Config(), "machine")
    assert 0 < page.index("contradict the images") < page.index("measured points to map")
    assert summary.to_metrics()["warnings"] == [warning]


def run_cloud() -> object:
    from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

    nothing = np.zeros((0, 3), np.float32)
    return SurfelCloud(nothing, nothing, nothing.astype(np.uint8), nothing[:, 0])
