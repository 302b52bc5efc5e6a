"""A short run along a wall, recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame, FrameReader, ReaderReport
from e2e_slam_ros.evaluation.run.recorder import RunRecorder
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.slam.pipeline import SlamPipeline
from synthetic import frame, pose


class ListReader:
    """Frames in memory as a reader."""

    def __init__(self, frames: list[Frame], name: str = "wall") -> None:
        self.frames = frames
        self.name = name
        self.report = ReaderReport(listed=len(frames))

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Frame:
        return self.frames[index]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)


@dataclass(frozen=True, eq=False)
class Run:
    summary: RunSummary
    cloud: SurfelCloud
    config: Config


def walk(count: int = 30) -> list[Frame]:
    """Frames of a camera that moves sideways along a wall, 5 cm a frame."""
    return [frame(i, pose(x=0.05 * i)) for i in range(count)]


def play(reader: FrameReader, depth_factor: float = 1.0, tracked: bool = True) -> Run:
    """Run the pipeline over a reader and record it.

    `depth_factor` other than 1 stands for a network whose depth is that far off.
    """
    config = Config()
    recorder = RunRecorder(reader, config)
    pipeline = SlamPipeline(config, torch.device("cpu"))
    assert recorder.observed is not None
    for item in recorder.observed:
        decision = pipeline.choose_keyframe(item)
        recorder.on_frame(item.stamp_ns, item.T_map_camera if tracked else None)
        recorder.on_latency("image_to_tf", 1.0)
        if decision.is_keyframe:
            result = pipeline.map_keyframe(item, decision)
            if depth_factor != 1.0:
                off = dataclasses.replace(
                    result.estimate, depth=result.estimate.depth * depth_factor, source="network"
                )
                result = dataclasses.replace(result, estimate=off)
            recorder.on_keyframe(result)
    cloud = pipeline.surfels.snapshot()
    return Run(recorder.finish(cloud, 0, {}, 2.0, pipeline.surfels.state_hash()), cloud, config)


@pytest.fixture
def wall_frames() -> Callable[[int], list[Frame]]:
    return walk


@pytest.fixture
def list_reader() -> Callable[[list[Frame]], ListReader]:
    return ListReader


@pytest.fixture
def play_run() -> Callable[..., Run]:
    return play


@pytest.fixture(scope="session")
def wall_run() -> Run:
    """30 frames of RGB-D along a wall."""
    return play(ListReader(walk()))


@pytest.fixture(scope="session")
def network_run() -> Run:
    """The same with depth 10 % too far."""
    return play(ListReader(walk()), depth_factor=1.1)


@pytest.fixture(scope="session")
def empty_run() -> Run:
    """A run that got neither a pose nor a keyframe."""
    config = Config()
    recorder = RunRecorder(None, config)
    recorder.on_frame(1, None)
    pipeline = SlamPipeline(config, torch.device("cpu"))
    cloud = pipeline.surfels.snapshot()
    return Run(recorder.finish(cloud, 0, {"pose: missing": 1}, 0.0), cloud, config)
