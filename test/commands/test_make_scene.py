"""`e2e-slam make-scene`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.cli import main
from e2e_slam_ros.data.tum import TumReader

Refused = Callable[..., str]


def test_a_scene_is_written_that_can_be_read_and_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = []
    for name in ("a", "b"):
        out = tmp_path / name
        argv = ["make-scene", "--out", str(out), "--seed", "3", "--frames", "3"]
        assert main([*argv, "--width", "64", "--height", "48", "--device", "cpu"]) == 0
        assert capsys.readouterr().out == f"{out}\n"
        reader = TumReader(out)
        assert len(reader) == 3
        first = reader[0]
        assert first.depth is not None
        assert first.T_map_camera is not None
        assert first.image.shape == (48, 64, 3)
        images.append(first.image)
    assert np.array_equal(images[0], images[1])


def test_scenes_of_no_size_and_folders_in_use_are_refused(
    data: Path, tmp_path: Path, refused: Refused
) -> None:
    assert "--frames" in refused("make-scene", "--out", tmp_path / "x", "--frames", "0")
    small = ["--frames", "1", "--width", "64", "--height", "48"]
    assert "recording" in refused("make-scene", "--out", data, *small)
