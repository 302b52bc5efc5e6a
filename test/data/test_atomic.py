"""Files appear complete or not at all."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e_slam_ros.config.errors import DataError, MapError
from e2e_slam_ros.data.atomic import open_atomic, write_bytes_atomic, write_text_atomic


def test_folders_are_made_and_nothing_is_left_beside(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_text_atomic(path, "größe")
    assert path.read_text(encoding="utf-8") == "größe"
    write_bytes_atomic(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_an_interrupted_write_keeps_the_older_file(tmp_path):
    path = tmp_path / "map.ply"
    path.write_text("old")
    with pytest.raises(RuntimeError), open_atomic(path) as stream:
        stream.write(b"half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["map.ply"]


def test_who_reads_the_older_file_keeps_it_whole(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with path.open() as reading:
        write_text_atomic(path, "newer")
        assert reading.read() == "old"
    assert path.read_text() == "newer"


def test_a_full_disk_keeps_the_older_file_and_is_the_callers_error(tmp_path):
    path = tmp_path / "map.ply"
    path.write_text("old")
    with (
        pytest.raises(MapError, match="No space left.*expected room on the disk; free space"),
        open_atomic(path, MapError),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["map.ply"]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a writable folder; choose another folder"):
        write_text_atomic(tmp_path / "file" / "x.txt", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="writing"):
        write_text_atomic(tmp_path / "folder", "")


def test_writers_do_not_mix(tmp_path):
    path = tmp_path / "x"
    texts = [str(i) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text_atomic(path, text), texts))
    assert path.read_text() in texts
