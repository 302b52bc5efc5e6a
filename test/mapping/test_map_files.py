"""Every kind of map file: written by its suffix, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping import map_files
from e2e_slam_ros.mapping.map_checkpoint import load_map
from e2e_slam_ros.mapping.map_files import SUFFIXES
from e2e_slam_ros.mapping.pcd import read_pcd
from e2e_slam_ros.mapping.ply import read_ply
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from synthetic import estimate, keyframe, pose

each_suffix = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture(scope="module")
def wall() -> SurfelMap:
    target = SurfelMap(MapConfig(), torch.device("cpu"))
    seen = keyframe(pose())
    assert seen.sensor_depth is not None
    target.fuse(seen, estimate(seen.sensor_depth))
    return target


def save(path: str | Path, surfel_map: SurfelMap, **options: Any) -> Path:
    return map_files.save(path, surfel_map.surfels, surfel_map.keyframes, **options)


def test_outliers_are_left_out_of_clouds_but_not_of_checkpoints(
    tmp_path: Path, wall: SurfelMap
) -> None:
    surfels = wall.surfels
    surfels.positions[7] = torch.tensor([50.0, 0.0, 0.0])
    stray = SurfelMap(MapConfig(), torch.device("cpu"))
    stray.restore(surfels, 1)
    assert read_ply(save(tmp_path / "all.ply", stray)).positions[:, 0].max() == 50.0
    cleaned = read_ply(save(tmp_path / "clean.ply", stray, outlier_sigma=3.0))
    assert cleaned.positions[:, 0].max() < 10 and len(cleaned) > 0.9 * len(wall)
    again = SurfelMap(MapConfig(), torch.device("cpu"))
    load_map(save(tmp_path / "all.safetensors", stray, outlier_sigma=3.0), again)
    assert len(again) == len(wall)


def test_each_suffix_is_its_format(tmp_path: Path, wall: SurfelMap) -> None:
    paths = {suffix: save(tmp_path / f"map{suffix}", wall) for suffix in SUFFIXES}
    assert set(paths) == {".ply", ".pcd", ".safetensors", ".png"}
    expected = wall.snapshot()
    for cloud in (read_ply(paths[".ply"]), read_pcd(paths[".pcd"])):
        assert np.array_equal(cloud.positions, expected.positions)
        assert np.array_equal(cloud.colors, expected.colors)
    again = SurfelMap(MapConfig(), torch.device("cpu"))
    load_map(paths[".safetensors"], again)
    assert len(again) == len(wall)
    with Image.open(paths[".png"]) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")


@each_suffix
def test_the_answer_is_the_absolute_path(
    tmp_path: Path, wall: SurfelMap, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(f"new/folder/map{suffix.upper()}", wall)
    assert path == tmp_path / f"new/folder/map{suffix.upper()}"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_up_turns_the_picture(tmp_path: Path, wall: SurfelMap) -> None:
    # The wall stands in the xy plane: from z it is a face, from y an edge.
    with Image.open(save(tmp_path / "face.png", wall, up=(0, 0, -1))) as face:
        with Image.open(save(tmp_path / "edge.png", wall, up=(0, 1, 0))) as edge:
            # Both have a margin of 16 pixels all around and 40 for the bar.
            assert face.height > 1000 > 100 > edge.height


@each_suffix
def test_a_full_disk_keeps_the_older_file(
    tmp_path: Path, wall: SurfelMap, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / f"map{suffix}", wall)
    path.write_bytes(b"older")

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # A real full disk needs root to mount; the last call before the rename stands in for it.
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(MapError, match=f"map{suffix}: got No space left on device"):
        save(path, wall)
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@each_suffix
def test_a_read_only_disk_is_said(
    tmp_path: Path, wall: SurfelMap, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(self: Path, *_: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(MapError, match="got Read-only file system, expected a writable folder"):
        save(tmp_path / f"map{suffix}", wall)
    assert list(tmp_path.iterdir()) == []


@each_suffix
def test_a_folder_that_cannot_be_is_said(tmp_path: Path, wall: SurfelMap, suffix: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MapError, match="expected a writable folder"):
        save(tmp_path / "file" / f"map{suffix}", wall)
    (tmp_path / f"taken{suffix}").mkdir()
    with pytest.raises(MapError, match="Is a directory"):
        save(tmp_path / f"taken{suffix}", wall)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", f"taken{suffix}"]


@pytest.mark.parametrize("name", ["map.stl", "map", ".ply", "map.ply.gz"])
def test_other_suffixes_are_refused(tmp_path: Path, wall: SurfelMap, name: str) -> None:
    with pytest.raises(MapError, match=r"expected one of \.ply, \.pcd, \.safetensors, \.png;"):
        save(tmp_path / name, wall)
    assert list(tmp_path.iterdir()) == []


@each_suffix
def test_an_empty_map_is_not_saved(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(MapError, match="got no surfels"):
        save(tmp_path / f"map{suffix}", SurfelMap(MapConfig(), torch.device("cpu")))
    assert list(tmp_path.iterdir()) == []
