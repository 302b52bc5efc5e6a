"""Images in, poses and a map out, without ROS: on rendered images with the shipped network."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.live_mapper import LiveMapper
from e2e_slam_ros.slam.observer import RunObserver, TakeSnapshot
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState

CONFIG = Config().with_values({"pose.source": "visual", "depth.source": "network"})
OFFLINE = CONFIG.with_values({"runtime.offline": True})
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> list[Frame]:
    reader = ProceduralReader(seed=0, frames=12, width=320, height=240, texture_size=256)
    return [replace(frame, depth=None, T_map_camera=None) for frame in reader]


class Notes(RunObserver):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.states: list[TrackingState] = []
        self.posed: list[bool] = []
        self.keyframes: list[int] = []
        self.points: list[int] = []

    def on_image(self, frame: Frame, tracked: TrackedPose | None) -> None:
        assert tracked is not None
        self.states.append(tracked.state)

    def on_frame(self, stamp_ns: int, T_map_camera: np.ndarray | None) -> None:
        self.posed.append(T_map_camera is not None)

    def on_keyframe(self, result: KeyframeResult) -> None:
        self.keyframes.append(result.keyframe.frame_index)

    def on_map(self, take_snapshot: TakeSnapshot) -> None:
        self.points.append(len(take_snapshot(5000)))


def run(images: list[Frame], config: Config) -> tuple[LiveMapper, Notes]:
    notes = Notes()
    mapper = LiveMapper(config, CPU, notes)
    for image in images:
        mapper.add(image)
    assert mapper.drain()
    mapper.stop()
    return mapper, notes


def test_images_alone_become_a_map_and_the_same_one_twice(images: list[Frame]) -> None:
    threads = threading.active_count()
    first, notes = run(images, OFFLINE)
    second, _ = run(images, OFFLINE)
    assert first.frames == 12 and first.dropped == 0
    assert sum(notes.posed) >= 11 and TrackingState.LOST not in notes.states
    assert len(notes.keyframes) == len(notes.points) >= 2
    assert all(4900 < count <= 5000 for count in notes.points)
    surfels = first.pipeline.surfels
    assert len(surfels) > 15_000
    assert surfels.state_hash() == second.pipeline.surfels.state_hash()
    assert threading.active_count() == threads


def test_frames_are_tracked_while_the_mapper_is_busy(
    images: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, go_on = Notes(), threading.Event()
    mapper = LiveMapper(CONFIG, CPU, notes)
    whole = mapper.pipeline.map_keyframe
    monkeypatch.setattr(
        mapper.pipeline, "map_keyframe", lambda *job: go_on.wait(60.0) and whole(*job)
    )
    monkeypatch.setattr(mapper.pipeline.selector, "choose_keyframe", always)
    mapper.add(images[0])
    deadline = time.monotonic() + 60.0
    while not len(mapper.pipeline.tracking.landmarks()) and time.monotonic() < deadline:
        time.sleep(0.01)
    for image in images[1:]:
        mapper.add(image)
    assert sum(notes.posed) > 3
    assert len(notes.states) == 12 and notes.keyframes == []
    go_on.set()
    assert mapper.drain()
    mapper.stop()
    assert mapper.dropped + len(notes.keyframes) == sum(notes.posed) and mapper.dropped >= 1


def always(frame: Frame, wanted: bool = False) -> object:
    from e2e_slam_ros.data.keyframe import KeyframeDecision

    return KeyframeDecision(True, "test")


def test_a_keyframe_that_is_refused_is_told_and_the_run_goes_on(
    images: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    mapper = LiveMapper(OFFLINE, CPU, RunObserver(), lambda kind, error: told.append(kind))
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise DepthError("no")

        patch.setattr(mapper.pipeline.source, "estimate", refuse)
        mapper.add(images[0])
    assert told == ["depth"] and len(mapper.pipeline.surfels) == 0
    for image in images[1:4]:
        mapper.add(image)
    mapper.stop()
    assert told == ["depth"] and len(mapper.pipeline.surfels) > 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pose.source": "tf"}, "'visual'"),
        ({"depth.source": "sensor"}, "there are no depth images"),
        ({"depth.source": "motion_stereo"}, "sensor or network"),
    ],
)
def test_what_needs_more_than_images_is_refused(values: dict[str, str], words: str) -> None:
    threads = threading.active_count()
    with pytest.raises(ConfigError, match=words):
        LiveMapper(CONFIG.with_values(values), CPU, RunObserver())
    assert threading.active_count() == threads
