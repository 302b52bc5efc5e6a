"""A recording written in another layout: the same frames, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from data.conftest import TumFolder
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.conversion import convert, format_of
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.geometry.camera import PinholeCamera

MakeFolder = Callable[..., TumFolder]
DISTORTED = PinholeCamera(16, 12, 15.0, 14.0, 7.5, 5.5, (0.1, -0.2, 0.001, 0.002, 0.05))


def assert_same(first: FrameReader, second: FrameReader, exact: bool = True) -> None:
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.stamp_ns == b.stamp_ns and a.camera == b.camera
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.depth is None) == (b.depth is None)
        if a.depth is not None:
            np.testing.assert_array_equal(a.depth, b.depth)
        assert (a.T_map_camera is None) == (b.T_map_camera is None)
        if a.T_map_camera is not None:
            np.testing.assert_allclose(a.T_map_camera, b.T_map_camera, atol=2e-9)


@pytest.mark.parametrize(("name", "form"), [("walk.mcap", "mcap"), ("walk", "sqlite3")])
def test_tum_to_a_bag_and_back(
    tmp_path: Path, tum_folder: MakeFolder, name: str, form: str
) -> None:
    lines = [f"{100 + i / 10:.6f} {0.1 * i:.3f} 0.2 0 0.1 0.2 0.3 0.9" for i in range(4)]
    source = tum_folder(camera=DISTORTED, pose_lines=lines)
    first = open_reader(source.path)
    done: list[int] = []
    report = convert(first, tmp_path / name, format_of(tmp_path / name, form), done.append)
    assert (report.frames, report.with_depth, report.with_pose) == (4, 4, 4)
    assert done == [1, 2, 3, 4]
    bag = open_reader(tmp_path / name)
    assert_same(first, bag)
    convert(bag, tmp_path / "back", "tum")
    assert_same(first, open_reader(tmp_path / "back"))
    assert (tmp_path / name).is_file() is (form == "mcap")
    if form == "sqlite3":
        content = yaml.safe_load((tmp_path / name / "metadata.yaml").read_text())
        files = content["rosbag2_bagfile_information"]["relative_file_paths"]
        assert files == ["walk.db3"] and (tmp_path / name / "walk.db3").is_file()
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_overwritten(tmp_path: Path, tum_folder: MakeFolder) -> None:
    reader = open_reader(tum_folder().path)
    (tmp_path / "old.mcap").write_bytes(b"mine")
    with pytest.raises(DataError, match="got something there, expected a new path; choose"):
        convert(reader, tmp_path / "old.mcap", "mcap")
    assert (tmp_path / "old.mcap").read_bytes() == b"mine"
    with pytest.raises(DataError, match="nothing is overwritten"):
        convert(reader, tmp_path / "sequence", "tum")
    (tmp_path / "empty").mkdir()
    convert(reader, tmp_path / "empty", "tum")
    assert len(open_reader(tmp_path / "empty")) == 4


class Interrupted:
    """A reader whose third frame is Ctrl-C."""

    def __init__(self, reader: FrameReader) -> None:
        self.reader, self.name, self.report = reader, "interrupted", reader.report

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> Frame:
        if index == 2:
            raise KeyboardInterrupt
        return self.reader[index]


@pytest.mark.parametrize(("name", "form"), [("a.mcap", "mcap"), ("a", "sqlite3"), ("a", "tum")])
def test_ctrl_c_leaves_nothing(
    tmp_path: Path, tum_folder: MakeFolder, name: str, form: str
) -> None:
    reader = Interrupted(open_reader(tum_folder().path))
    with pytest.raises(KeyboardInterrupt):
        convert(reader, tmp_path / "out" / name, form)  # type: ignore[arg-type]
    assert not list((tmp_path / "out").iterdir())


def test_unreadable_frames_are_counted(tmp_path: Path, tum_folder: MakeFolder) -> None:
    folder = tum_folder()
    folder.image(1).write_bytes(b"broken")
    report = convert(open_reader(folder.path), tmp_path / "a.mcap", "mcap")
    assert report.frames == 3 and report.unreadable == 1 and "100.1" in report.reason
    for index in range(4):
        folder.image(index).write_bytes(b"broken")
    with pytest.raises(DataError, match="no readable frame"):
        convert(open_reader(folder.path), tmp_path / "b.mcap", "mcap")
    assert not (tmp_path / "b.mcap").exists()


@pytest.mark.parametrize(
    ("name", "form"), [("a.db3", "auto"), ("a.bag", "tum"), ("a.mcap", "sqlite3")]
)
def test_names_that_do_not_fit_are_refused(name: str, form: str) -> None:
    with pytest.raises(DataError, match="expected a name that ends with .mcap, or"):
        format_of(Path(name), form)


def test_the_layouts_convert(tmp_path: Path) -> None:
    """Another layout becomes a TUM folder with the same poses and stamps."""
    from data.layout_scenes import nerfstudio

    first = open_reader(nerfstudio(tmp_path / "n"))
    convert(first, tmp_path / "t", "tum")
    assert_same(first, open_reader(tmp_path / "t"))
