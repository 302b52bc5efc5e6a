"""Recordings for Rerun, where it is installed."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.errors import ConfigError
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
        viewer.on_keyframe(pipeline.integrate(item, pipeline.track(item)))
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
