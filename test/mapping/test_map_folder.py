"""The folder of a run's maps: nothing in it is lost, nothing outside it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.config.map import MapConfig
from e2e_slam_ros.mapping.map_files import SUFFIXES, is_map_file, save
from e2e_slam_ros.mapping.map_folder import MapFolder, output_folder
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from synthetic import estimate, keyframe, pose


@pytest.fixture(scope="module")
def surfel_map() -> SurfelMap:
    made = SurfelMap(MapConfig(), torch.device("cpu"))
    seen = keyframe(pose(), 0)
    assert seen.sensor_depth is not None
    made.fuse(seen, estimate(seen.sensor_depth))
    return made


def write(folder: MapFolder, name: str, surfel_map: SurfelMap) -> Path:
    target = folder.file(name)
    folder.make_room(target)
    save(target, surfel_map.surfels, surfel_map.keyframes)
    folder.own(target)
    return target


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_map_of_an_earlier_run_is_kept(
    tmp_path: Path, surfel_map: SurfelMap, suffix: str
) -> None:
    first, second = MapFolder(tmp_path), MapFolder(tmp_path)
    target = write(first, f"map{suffix}", surfel_map)
    assert is_map_file(target)
    write(first, f"map{suffix}", surfel_map)  # its own: replaced
    before = target.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [f"map{suffix}"]
    write(second, f"map{suffix}", surfel_map)
    assert (tmp_path / f"map.1{suffix}").read_bytes() == before
    second.disown()
    write(second, f"map{suffix}", surfel_map)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"map{suffix}",
        f"map.1{suffix}",
        f"map.2{suffix}",
    }


def test_an_older_map_keeps_its_name_until_the_new_one_is_written(
    tmp_path: Path, surfel_map: SurfelMap
) -> None:
    target = write(MapFolder(tmp_path), "map.ply", surfel_map)
    later = MapFolder(tmp_path)
    for _ in range(3):  # three writes that fail
        later.make_room(target)
        assert {path.name for path in tmp_path.iterdir()} == {"map.ply", "map.1.ply"}
    write(later, "map.ply", surfel_map)
    assert {path.name for path in tmp_path.iterdir()} == {"map.ply", "map.1.ply"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_foreign_file_a_link_and_a_folder_are_left_alone(tmp_path: Path, suffix: str) -> None:
    folder, elsewhere = MapFolder(tmp_path / "maps"), tmp_path / "notes.txt"
    elsewhere.write_text("mine")
    folder.path.mkdir()
    target = folder.file(f"map{suffix}")
    for make in (
        lambda: target.write_text("mine"),
        lambda: target.symlink_to(elsewhere),
        lambda: target.symlink_to(tmp_path / "nowhere"),
        target.mkdir,
    ):
        make()
        with pytest.raises(MapError, match="expected no file, or an older map"):
            folder.make_room(target)
        assert elsewhere.read_text() == "mine" and not (tmp_path / "nowhere").exists()
        target.rmdir() if target.is_dir() else target.unlink()


@pytest.mark.parametrize(
    "name", ["../map.ply", "/tmp/map.ply", "a/map.ply", ".map.ply", "..", "", "map.txt", "a\0.ply"]
)
def test_only_plain_names_of_maps_are_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(MapError, match="expected"):
        MapFolder(tmp_path).file(name)


def test_what_a_killed_writer_left_is_removed(tmp_path: Path, surfel_map: SurfelMap) -> None:
    gone = tmp_path / ".map.ply.4194305.1.partial"  # no process has that number
    alive = tmp_path / f".map.ply.{os.getpid()}.1.partial"
    other = tmp_path / ".notes.ply.4194305.1.partial"
    for path in (gone, alive, other):
        path.touch()
    write(MapFolder(tmp_path), "map.ply", surfel_map)
    assert not gone.exists() and alive.exists() and other.exists()


def test_a_file_that_somebody_replaced_is_not_removed(
    tmp_path: Path, surfel_map: SurfelMap
) -> None:
    folder = MapFolder(tmp_path)
    target = write(folder, "checkpoint.safetensors", surfel_map)
    target.unlink()
    target.write_text("mine")
    folder.remove(target)
    assert target.read_text() == "mine"


def test_the_folder_without_a_choice_is_ros_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    assert output_folder("").parent == tmp_path / "e2e_slam"
    monkeypatch.delenv("ROS_HOME")
    assert output_folder("").parent == Path.home() / ".ros" / "e2e_slam"
    assert output_folder("maps") == Path.cwd() / "maps"
