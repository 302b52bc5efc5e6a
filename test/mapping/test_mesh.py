"""Meshes: closed-form surfaces through Open3D, files others read, refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.mesh import Mesh, mesh_from_surfels, write_mesh
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


@pytest.fixture(scope="module")
def open3d() -> Any:
    return pytest.importorskip(
        "open3d", reason="no Open3D, or it lacks libusb", exc_type=ImportError
    )


def sphere(count: int, radius: float = 0.5, lowest: float = -1.0) -> SurfelCloud:
    """Surfels on a ball, above ``lowest`` (in radii), coloured by their normal."""
    # A Fibonacci lattice: even spacing without chance.
    index = np.arange(count) + 0.5
    z = 1.0 - (1.0 - lowest) * index / count
    angle = np.pi * (1.0 + 5.0**0.5) * index
    ring = np.sqrt(1.0 - z * z)
    normals = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    return SurfelCloud(
        (radius * normals).astype(np.float32),
        normals.astype(np.float32),
        (127.5 * (normals + 1.0)).astype(np.uint8),
        np.ones(count, np.float32),
    )


TRIANGLE = Mesh(
    vertices=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.5]], np.float32),
    normals=np.array([[0, 0, 1]] * 3, np.float32),
    colors=np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8),
    triangles=np.array([[0, 1, 2]], np.int32),
)


def test_poisson_gives_the_sphere_back(open3d: Any) -> None:
    mesh = mesh_from_surfels(sphere(2000), cell_m=0.05)
    distance = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(distance - 0.5).max() < 0.01
    outward = (mesh.normals * mesh.vertices).sum(axis=1) / distance
    assert outward.min() > 0.9
    expected = 127.5 * (mesh.vertices / distance[:, None] + 1.0)
    assert np.abs(mesh.colors - expected).mean() < 5
    assert mesh.triangles.min() == 0 and mesh.triangles.max() == len(mesh.vertices) - 1


def test_what_was_not_seen_stays_open(open3d: Any) -> None:
    # Poisson closes the half sphere; the lid is cut off again but for two cells at its rim.
    mesh = mesh_from_surfels(sphere(2000, lowest=0.0), cell_m=0.05)
    rim = np.linalg.norm(mesh.vertices[:, :2], axis=1)
    assert mesh.vertices[:, 2].min() > -0.11
    assert not ((mesh.vertices[:, 2] < 0.05) & (rim < 0.35)).any()


def test_too_few_surfels_are_refused_before_the_solver_dies(open3d: Any) -> None:
    for cloud in (sphere(0), sphere(1), sphere(99), sphere(2000, radius=0.001)):
        with pytest.raises(MapError, match="expected at least 100 over more than 0.03 m"):
            mesh_from_surfels(cloud)
    broken = sphere(150)
    broken.positions[:100] = np.nan
    with pytest.raises(MapError, match="got 50 surfels"):
        mesh_from_surfels(broken)
    with pytest.raises(MapError, match="cell_m: got 0.0"):
        mesh_from_surfels(sphere(200), cell_m=0.0)


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_open3d_reads_the_files(open3d: Any, tmp_path: Path, suffix: str) -> None:
    path = write_mesh(tmp_path / "new" / f"mesh{suffix}", TRIANGLE)
    read = open3d.io.read_triangle_mesh(str(path))
    assert np.allclose(np.asarray(read.vertices), TRIANGLE.vertices)
    assert np.allclose(np.asarray(read.vertex_normals), TRIANGLE.normals)
    assert np.allclose(np.asarray(read.vertex_colors) * 255, TRIANGLE.colors, atol=0.5)
    assert np.array_equal(np.asarray(read.triangles), TRIANGLE.triangles)


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mesh(tmp_path / f"mesh{suffix}", TRIANGLE)
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(MapError, match="No space left on device"):
        write_mesh(path, TRIANGLE)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"got the suffix '\.stl', expected one of \.ply, \.obj"):
        write_mesh(tmp_path / "mesh.stl", TRIANGLE)


def test_without_open3d_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(MapError, match="pip install open3d-cpu.*apt-get install libusb"):
        mesh_from_surfels(sphere(200))
