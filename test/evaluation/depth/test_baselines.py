"""Depth that does not look at the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.evaluation.depth.baselines import at_size, constant_depth, training_median
from e2e_slam_ros.evaluation.depth.predictor import PredictedDepth
from e2e_slam_ros.evaluation.depth.protocol import DepthProtocol
from e2e_slam_ros.evaluation.depth.report import DepthReport
from e2e_slam_ros.evaluation.working_frames import WorkingFrames

MakeReader = Callable[[list[Frame]], FrameReader]
MakeFrames = Callable[[int], list[Frame]]


def with_depth(frame: Frame, values: np.ndarray | float | None) -> Frame:
    depth = None
    if values is not None:
        depth = np.broadcast_to(np.float32(values), (48, 64)).astype(np.float32)
    return dataclasses.replace(frame, depth=depth)


def test_the_median_leaves_out_what_was_not_measured(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    frames = wall_frames(5)
    holed = np.full((48, 64), 2.0, dtype=np.float32)
    holed[:, :10] = 0.0
    depths = [holed, 3.0, 7.0, 50.0, None]  # 50 m is out of range
    reader = list_reader([with_depth(f, d) for f, d in zip(frames, depths, strict=True)])
    median = training_median(reader, Config())
    assert median.shape == (48, 64)
    assert torch.equal(median[:, 10:], torch.full((48, 54), 3.0))
    assert torch.equal(median[:, :10], torch.full((48, 10), 3.0))  # the lower of 3 and 7


def test_a_pixel_never_measured_gets_the_median_of_everything(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    depth = np.full((48, 64), 2.5, dtype=np.float32)
    depth[5, 6] = 0.0
    reader = list_reader([with_depth(wall_frames(1)[0], depth)])
    assert float(training_median(reader, Config())[5, 6]) == 2.5


def test_training_frames_without_depth_are_refused(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    for values in (None, 0.0, 50.0):
        reader = list_reader([with_depth(frame, values) for frame in wall_frames(2)])
        with pytest.raises(DataError, match="no frame with depth in range"):
            training_median(reader, Config())


def test_a_map_is_brought_to_any_size_without_new_values() -> None:
    small = torch.tensor([[1.0, 5.0]])
    assert torch.equal(at_size(small, 2, 4), torch.tensor([[1.0, 1.0, 5.0, 5.0]] * 2))
    assert at_size(constant_depth(), 48, 64).shape == (48, 64)


CONFIG = Config().with_values({"depth.source": "network"})


@pytest.fixture(scope="module")
def baselines(shared_data: Path) -> dict[str, torch.Tensor]:
    """Baselines learned from the first frames of a recording."""
    training = FrameSlice(open_reader(shared_data / "hololens/rooms_000"), 0, 250)
    return {"constant": constant_depth(), "median": training_median(training, CONFIG)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "first", "step", "expected"),
    [
        ("hololens/rooms_000", 250, 1, (0.282, 0.264)),
        ("tum/rgbd_dataset_freiburg1_rpy_excerpt", 0, 2, (0.247, 0.258)),
    ],
)
def test_known_figures_on_real_frames(
    shared_data: Path,
    baselines: dict[str, torch.Tensor],
    folder: str,
    first: int,
    step: int,
    expected: tuple[float, float],
) -> None:
    """Figures measured before by other means."""
    reader = FrameSlice(open_reader(shared_data / folder), first, None)
    protocol = DepthProtocol(
        lambda keyframe: PredictedDepth(torch.ones_like(keyframe.image[:, :1])), CONFIG, baselines
    )
    frames = WorkingFrames(reader, CONFIG.camera, torch.device("cpu"))
    outcome = protocol.run(frames, frames.at(range(0, len(reader), step)), 0)
    report = DepthReport("", len(reader), {}, "", tuple(outcome.scores), "", None)
    found = [scores.median_scaled for scores in report.baselines().values()]
    assert [m.abs_rel for m in found if m is not None] == pytest.approx(expected, abs=0.004)
