"""Files appear complete or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    script = "from e2e_slam_ros.data.atomic import open_atomic\n"
    script += f"with open_atomic({str(tmp_path / 'map.bin')!r}) as file:\n"
    script += "    file.write(b'half'); file.flush(); print('begun', flush=True); input()\n"
    writer = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None and writer.stdout.readline() == b"begun\n"
    (left,) = tmp_path.glob(".map.bin.*.partial")
    os.utime(left, (0, 0))
    write_text_atomic(tmp_path / "map.bin", "new")
    assert left.exists(), "its writer still runs"
    writer.kill()
    writer.communicate()
    other = tmp_path / left.name.replace("map.bin", "map.bin.more")
    other.write_bytes(b"of another file")
    os.utime(left)
    write_text_atomic(tmp_path / "map.bin", "newer")
    assert left.exists(), "it may be of another container: it was written to just now"
    os.utime(left, (0, 0))
    os.utime(other, (0, 0))
    write_text_atomic(tmp_path / "map.bin", "newest")
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "map.bin"]
