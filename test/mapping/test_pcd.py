"""PCD files: round trip, the format's own words, foreign readers, files that are not whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.pcd import read_pcd, write_pcd
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


def cloud(count: int) -> SurfelCloud:
    random = np.random.default_rng(5)
    return SurfelCloud(
        positions=random.normal(size=(count, 3)).astype(np.float32),
        normals=random.normal(size=(count, 3)).astype(np.float32),
        colors=random.integers(0, 256, (count, 3), dtype=np.uint8),
        confidence=random.random(count, dtype=np.float32),
    )


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_round_trip_is_exact(tmp_path: Path, count: int) -> None:
    written = cloud(count)
    path = write_pcd(tmp_path / "deep" / "map.pcd", written)
    assert path.is_absolute()
    read = read_pcd(path)
    for name in ("positions", "normals", "colors", "confidence"):
        value, expected = getattr(read, name), getattr(written, name)
        assert np.array_equal(value, expected) and value.dtype == expected.dtype


def test_one_point_byte_by_byte(tmp_path: Path) -> None:
    point = SurfelCloud(
        np.array([[1, 2, 3]], np.float32),
        np.array([[0, 0, 1]], np.float32),
        np.array([[0x11, 0x22, 0x33]], np.uint8),
        np.array([4], np.float32),
    )
    header, data = write_pcd(tmp_path / "map.pcd", point).read_bytes().split(b"DATA binary\n")
    assert b"VERSION 0.7\nFIELDS x y z normal_x normal_y normal_z rgb confidence\n" in header
    assert b"WIDTH 1\nHEIGHT 1\n" in header and b"POINTS 1\n" in header
    # Little endian 0x00112233, as PCL packs a colour into a float.
    assert data[24:28] == b"\x33\x22\x11\x00"
    floats = np.frombuffer(data, "<f4")[[0, 1, 2, 3, 4, 5, 7]]
    assert floats.tolist() == [1, 2, 3, 0, 0, 1, 4]


def test_open3d_reads_it(tmp_path: Path) -> None:
    open3d = pytest.importorskip(
        "open3d", reason="no Open3D, or it lacks libusb", exc_type=ImportError
    )
    written = cloud(100)
    read = open3d.io.read_point_cloud(str(write_pcd(tmp_path / "map.pcd", written)))
    assert np.allclose(np.asarray(read.points), written.positions)
    assert np.allclose(np.asarray(read.colors) * 255, written.colors, atol=0.5)
    assert np.allclose(np.asarray(read.normals), written.normals)
    everything = open3d.t.io.read_point_cloud(str(tmp_path / "map.pcd"))
    confidence = everything.point["confidence"].numpy().ravel()
    assert np.array_equal(confidence, written.confidence)


def test_files_that_are_not_whole_maps_are_refused(tmp_path: Path) -> None:
    path = write_pcd(tmp_path / "map.pcd", cloud(10))
    whole = path.read_bytes()
    for damaged, reason in (
        (whole[:-5], "got 315 bytes of surfels, expected 320; the file was cut off"),
        (whole + b"more", "got 324 bytes of surfels"),
        (whole[:100], "another kind of file"),
        (b"", "another kind of file"),
        (whole.replace(b"VERSION 0.7", b"VERSION 0.6"), "another kind of file"),
        (whole.replace(b"DATA binary\n", b"DATA ascii\n"), "another kind of file"),
        (whole.replace(b"rgb", b"abc"), "another kind of file"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(MapError, match=reason):
            read_pcd(path)
    with pytest.raises(MapError, match="No such file"):
        read_pcd(tmp_path / "absent.pcd")
