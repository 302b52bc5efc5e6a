"""Recordings for Rerun, where it is installed."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.viewers.rerun_viewer import RerunViewer
from synthetic import frame, pose


def test_a_run_becomes_a_recording(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is optional and not installed")
    viewer = RerunViewer(tmp_path / "deep", record=True)
    pipeline = SlamPipeline(Config(), torch.device("cpu"))
    sizes = []
    for index in range(6):
        item = frame(index, pose(x=0.2 * index))
        viewer.on_frame(item.stamp_ns, item.T_map_camera)
        viewer.on_keyframe(pipeline.map_keyframe(item, pipeline.choose_keyframe(item)))
        viewer.on_latency("fuse", 3.0)
        sizes.append(index)
    viewer.on_frame(10, None)
    viewer.close()
    assert viewer.file == tmp_path / "deep" / "run.rrd"
    # Six keyframes of 768 points with colours.
    assert viewer.file.stat().st_size > 6 * 768 * 15


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is optional and not installed")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="a writable folder"):
        RerunViewer(tmp_path / "file" / "folder", record=True)


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "rerun":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match="pip install rerun-sdk"):
        RerunViewer(tmp_path)


# Entity, kind and values of each thing that was shown.
Logged = list[tuple[str, str, Any]]


class Stream:
    """Stands for a recording stream: tells what is logged."""

    def __init__(self, logged: Logged) -> None:
        self.logged = logged

    def log(self, entity: str, item: tuple[str, Any], static: bool = False) -> None:
        self.logged.append((entity, *item))

    def save(self, path: Path) -> None:
        pass

    def set_time(self, name: str, timestamp: np.datetime64) -> None:
        pass


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    """What viewers show, with a `rerun` that makes (kind, arguments) of each thing."""
    shown: Logged = []

    def kind(name: str) -> Any:
        return lambda *values, **named: (name, values or named)

    kinds = ("Transform3D", "Pinhole", "Image", "DepthImage", "Points3D", "LineStrips3D")
    made = {name: kind(name) for name in (*kinds, "Scalars", "Clear")}
    coordinates = SimpleNamespace(RIGHT_HAND_Z_UP=("coordinates", None))
    stub = SimpleNamespace(
        RecordingStream=lambda _: Stream(shown), ViewCoordinates=coordinates, **made
    )
    monkeypatch.setitem(sys.modules, "rerun", stub)
    return shown


def lines(logged: Logged) -> list[tuple[str, np.ndarray]]:
    return [(entity, values[0][0]) for entity, name, values in logged if name == "LineStrips3D"]


def test_each_keyframe_adds_one_piece_of_the_path(tmp_path: Path, logged: Logged) -> None:
    viewer = RerunViewer(tmp_path, record=True)
    pipeline = SlamPipeline(Config(), torch.device("cpu"))
    for number, x in ((10, 0.0), (11, 0.2), (12, 0.4), (1, 0.6), (2, 0.8)):
        if number == 1:
            pipeline.restart()
        item = frame(number, pose(x=x))
        viewer.on_keyframe(pipeline.map_keyframe(item, pipeline.choose_keyframe(item)))
    drawn = lines(logged)
    # Keyframe 3 came after a jump back in time: nothing leads there from keyframe 2.
    assert [entity for entity, _ in drawn] == [f"map/path/{index}" for index in (1, 2, 4)]
    np.testing.assert_allclose(drawn[1][1], [[0.2, 0, 0], [0.4, 0, 0]], atol=1e-9)
    clouds = [e for e, name, _ in logged if name == "Points3D"]
    assert clouds == [f"map/keyframes/{index}" for index in range(5)]


def test_after_a_reset_nothing_of_before_is_shown(tmp_path: Path, logged: Logged) -> None:
    viewer = RerunViewer(tmp_path, record=True)
    pipeline = SlamPipeline(Config(), torch.device("cpu"))
    for number in (0, 1):
        item = frame(number, pose(x=0.2 * number))
        viewer.on_keyframe(pipeline.map_keyframe(item, pipeline.choose_keyframe(item)))
        pipeline.reset()
    assert lines(logged) == []
    cleared = [e for e, name, _ in logged if name == "Clear"]
    assert cleared == ["map/keyframes", "map/path"] * 2
