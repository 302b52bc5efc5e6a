"""One way in for every kind of recording, and parts of one."""

from __future__ import annotations

import pytest
from PIL import Image

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.icl import IclReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.rosbag import BagReader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.geometry.camera import PinholeCamera


def test_tum_folders(tum_folder, tmp_path):
    folder = tum_folder()
    assert isinstance(open_reader(folder.path), TumReader)
    assert isinstance(open_reader(str(tmp_path)), TumReader)  # the only sequence in it
    folder.depth(0).unlink()
    assert len(open_reader(folder.path, require_depth=True)) == 3


def test_icl_folders(tum_folder):
    folder = tum_folder()
    lines = [f"{i} depth/{folder.depth(i).name} {i} rgb/{folder.image(i).name}" for i in range(4)]
    (folder.path / "associations.txt").write_text("\n".join(lines))
    assert isinstance(open_reader(folder.path), TumReader)
    (folder.path / "rgb.txt").unlink()
    assert isinstance(open_reader(folder.path), IclReader)
    for image in (folder.path / "rgb").iterdir():
        Image.new("RGB", (640, 480)).save(image)
    named = open_reader(folder.path, intrinsics="500,500,319.5,239.5")
    assert isinstance(named, IclReader) and named.camera.fx == 500.0
    with pytest.raises(DataError, match="built-in names are for TUM folders"):
        open_reader(folder.path, camera="fr1")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_recordings(rgbd_bag, tmp_path, storage):
    path = rgbd_bag.write(tmp_path / "walk", storage)
    for given in (path, next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))):
        reader = open_reader(given, image_topic="/camera/image_raw")
        assert isinstance(reader, BagReader) and len(reader) == 4
    camera = PinholeCamera(16, 12, 20.0, 20.0, 8.0, 6.0)
    assert open_reader(path, camera=camera)[0].camera == camera


def test_anything_else_is_refused(tmp_path, tum_folder):
    with pytest.raises(DataError, match="which does not exist, expected a folder or recording"):
        open_reader(tmp_path / "nothing")
    with pytest.raises(DataError, match="got files of no known layout, expected one of these"):
        open_reader(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="got files of no known layout"):
        open_reader(tmp_path / "notes.txt")
    tum_folder("a")
    tum_folder("b")
    with pytest.raises(DataError, match="got 2 sequences in it, .*; choose a, b"):
        open_reader(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:5", (0, 5)), ("3:", (3, None)), (":7", (None, 7)), (":", (None, None))]
    + [(" -10 : -1 ", (-10, -1))],
)
def test_frames_are_parsed(text, expected):
    assert parse_frames(text) == expected


@pytest.mark.parametrize("text", ["", "5", "a:b", "1:2:3", "1.5:2", "1-2"])
def test_other_frames_are_refused(text):
    with pytest.raises(DataError, match="expected A:B with whole numbers"):
        parse_frames(text)


def test_a_slice_is_a_reader(tum_folder):
    folder = tum_folder(count=6)
    whole = TumReader(folder.path)
    part = FrameSlice(whole, 2, 5)
    assert isinstance(part, FrameReader)
    assert len(part) == 3 and part.name == whole.name and part.report is whole.report
    assert [f.index for f in part] == [2, 3, 4]
    assert part[0].index == 2 and part[-1].index == 4
    for index in (3, -4):
        with pytest.raises(IndexError):
            part[index]
    assert [f.index for f in FrameSlice(whole, -2)] == [4, 5]
    assert len(FrameSlice(whole, None, 100)) == 6
    assert [f.index for f in FrameSlice(part, 1)] == [3, 4]
    folder.image(3).write_bytes(b"")
    assert [f.index for f in part] == [2, 4]


@pytest.mark.parametrize(("start", "stop"), [(6, None), (3, 3), (4, 2), (None, 0)])
def test_an_empty_slice_is_refused(tum_folder, start, stop):
    with pytest.raises(DataError, match="expected a range within the 6 frames of sequence"):
        FrameSlice(TumReader(tum_folder(count=6).path), start, stop)
