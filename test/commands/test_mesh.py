"""From a saved map to a mesh."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.cli import main
from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.mapping import map_files
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from synthetic import estimate, keyframe, pose


def saved_wall(path: Path) -> Path:
    wall = SurfelMap(MapConfig(), torch.device("cpu"))
    seen = keyframe(pose())
    assert seen.sensor_depth is not None
    wall.fuse(seen, estimate(seen.sensor_depth))
    return map_files.save(path, wall.surfels, wall.keyframes)


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_a_saved_map_becomes_a_mesh(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d", reason="no Open3D, or it lacks libusb", exc_type=ImportError)
    source = saved_wall(tmp_path / f"map{suffix}")
    out = tmp_path / "mesh.obj"
    assert main(["mesh", str(source), "--out", str(out), "--cell", "0.1"]) == 0
    assert str(out) in capsys.readouterr().out
    lines = out.read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) > 50
    assert sum(line.startswith("f ") for line in lines) > 50


def test_what_is_no_map_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "map.ply"
    wrong.write_bytes(b"not a map")
    assert main(["mesh", str(wrong), "--out", str(tmp_path / "mesh.ply")]) == 2
    assert "a PLY map of this package" in capsys.readouterr().err
    assert not (tmp_path / "mesh.ply").exists()
