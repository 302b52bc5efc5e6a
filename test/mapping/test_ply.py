"""Map files: round trip, foreign readers, failures that leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.ply import read_ply, write_ply
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


def cloud(count: int) -> SurfelCloud:
    random = np.random.default_rng(3)
    return SurfelCloud(
        positions=random.normal(size=(count, 3)).astype(np.float32),
        normals=random.normal(size=(count, 3)).astype(np.float32),
        colors=random.integers(0, 256, (count, 3), dtype=np.uint8),
        confidence=random.random(count, dtype=np.float32),
    )


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_round_trip_is_exact(tmp_path: Path, count: int) -> None:
    written = cloud(count)
    read = read_ply(write_ply(tmp_path / "deep" / "map.ply", written))
    for name in ("positions", "normals", "colors", "confidence"):
        assert np.array_equal(getattr(read, name), getattr(written, name))


def test_open3d_reads_it(tmp_path: Path) -> None:
    open3d = pytest.importorskip(
        "open3d", reason="no Open3D, or it lacks libusb", exc_type=ImportError
    )
    written = cloud(100)
    path = write_ply(tmp_path / "map.ply", written)
    read = open3d.io.read_point_cloud(str(path))
    assert np.allclose(np.asarray(read.points), written.positions)
    assert np.allclose(np.asarray(read.colors) * 255, written.colors, atol=0.5)
    assert np.allclose(np.asarray(read.normals), written.normals)


def test_a_full_disk_is_said_and_the_old_file_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ply(tmp_path / "map.ply", cloud(10))
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    # A real full disk needs root to mount; the last call before the rename stands in for it.
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(MapError, match="No space left .*free space or choose another folder"):
        write_ply(path, cloud(20))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["map.ply"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MapError, match="expected a writable folder"):
        write_ply(tmp_path / "file" / "map.ply", cloud(1))


def test_files_that_are_not_whole_maps_are_refused(tmp_path: Path) -> None:
    path = write_ply(tmp_path / "map.ply", cloud(10))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(MapError, match="cut off"):
        read_ply(path)
    path.write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    with pytest.raises(MapError, match="another kind of file"):
        read_ply(path)
    path.write_bytes(whole.replace(b"element vertex 10", b"element vertex " + b"9" * 5000))
    with pytest.raises(MapError, match="another kind of file"):
        read_ply(path)
    path.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(MapError, match="another kind of file"):
        read_ply(path)
    with pytest.raises(MapError, match="No such file"):
        read_ply(tmp_path / "absent.ply")
