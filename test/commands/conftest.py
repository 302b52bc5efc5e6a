"""A stand-in for the replay that needs no ROS, and a small recording."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from e2e_slam_ros.cli import main
from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.evaluation.run.recorder import RunRecorder
from e2e_slam_ros.slam.pipeline import SlamPipeline
from synthetic import CAMERA, frame, pose

REPLAY = "e2e_slam_ros.nodes.replay"


@dataclass
class Replay:
    """Stands for `nodes/replay.py` and remembers how it was called."""

    interrupted: bool = False
    failure: Exception | None = None
    maps_nothing: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)

    def run_replay(self, reader: FrameReader, config: Config, **options: Any) -> object:
        self.calls.append({"reader": reader, "config": config, **options})
        recorder: RunRecorder = options["recorder"]
        pipeline = SlamPipeline(config, torch.device("cpu"))
        for item in reader:
            decision = pipeline.choose_keyframe(item)
            recorder.on_frame(item.stamp_ns, item.T_map_camera)
            if decision.is_keyframe and not self.maps_nothing:
                recorder.on_keyframe(pipeline.map_keyframe(item, decision))
        return types.SimpleNamespace(
            cloud=pipeline.surfels.snapshot(),
            dropped=0,
            problems={"depth: late": 3} if self.maps_nothing else {},
            wall_s=1.0,
            map_hash=pipeline.surfels.state_hash(),
            interrupted=self.interrupted,
            failure=self.failure,
            checkpoint=None,
            landmarks=None,
        )


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Replay:
    stand_in = Replay()
    module = types.ModuleType(REPLAY)
    module.run_replay = stand_in.run_replay  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, REPLAY, module)
    return stand_in


def write(folder: Path, frames: list[Frame]) -> Path:
    with TumWriter(folder, CAMERA) as writer:
        for item in frames:
            writer.write(item)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A TUM folder with twelve frames along a wall."""
    frames = [frame(i, pose(x=0.05 * i), stamp_s=1.0 + 0.1 * i) for i in range(12)]
    return write(tmp_path / "data", frames)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused and return what it says."""

    def run(*argv: object) -> str:
        assert main([str(word) for word in argv]) == 2
        text = capsys.readouterr().err
        assert "Traceback" not in text
        for label in ("error:", "got:", "expected:", "do:"):
            assert label in text
        return text

    return run
