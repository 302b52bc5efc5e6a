"""From a catalogue to an archive, and what archives refuse."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.simulation.furniture_catalogue import read_catalogue, spdx_licence
from e2e_slam_ros.simulation.furniture_conversion import convert_catalogue
from e2e_slam_ros.simulation.furniture_file import furniture_digest, load_furniture
from e2e_slam_ros.simulation.furniture_kinds import furniture_kind
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary, FurnitureModel
from e2e_slam_ros.simulation.mesh_reduction import ColouredMesh, reduce_mesh, thin_leaves

from .furniture_models import box_corners, library, write_catalogue

REPO = Path(__file__).resolve().parents[2]


def picture() -> bytes:
    """PNG: the upper half red, the lower half green."""
    image = np.zeros((10, 10, 3), np.uint8)
    image[:5, :, 2] = 255
    image[5:, :, 1] = 255
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    pytest.importorskip("open3d")
    return write_catalogue(tmp_path / "made_up.sh3f", picture())


def test_a_catalogue_becomes_models_in_real_size(catalogue: Path) -> None:
    results = list(convert_catalogue(catalogue))
    chair, stool = (result for result in results if isinstance(result, FurnitureModel))
    assert (chair.name, chair.kind, chair.author) == ("Chair", "seat", "Ann")
    assert chair.licence == "CC-BY-3.0"
    assert len(chair.corners) == len(stool.corners) == 12
    points = chair.corners.reshape(-1, 3)
    np.testing.assert_allclose(points.min(axis=0), [-0.4, -0.3, 0.0], atol=1e-6)
    np.testing.assert_allclose(points.max(axis=0), [0.4, 0.3, 1.0], atol=1e-6)
    # Its front, with quads of negative indices, faces -y and shows the lower part of the picture.
    front = (np.abs(chair.corners[..., 1] + 0.3) < 1e-6).all(axis=1)
    back = (np.abs(chair.corners[..., 1] - 0.3) < 1e-6).all(axis=1)
    assert front.sum() == back.sum() == 2
    np.testing.assert_allclose(chair.colour[front], [[0.06, 1.0, 0.06]] * 2, atol=1e-6)
    np.testing.assert_allclose(chair.colour[back], [[0.2, 0.4, 0.6]] * 2, atol=1e-6)
    # Without its materials the stool has one colour and its shape.
    assert np.ptp(stool.colour, axis=0).max() < 1e-6
    lost = [result for result in results if isinstance(result, str)]
    assert len(lost) == 1 and "Sofa" in lost[0] and "lost.obj" in lost[0]


def test_the_tool_writes_an_archive_and_its_authors(catalogue: Path, tmp_path: Path) -> None:
    output = tmp_path / "furniture.npz"
    command = [sys.executable, str(REPO / "tools" / "build_furniture.py"), str(catalogue)]
    done = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = load_furniture(output)
    assert [loaded[index].name for index in range(len(loaded))] == ["Chair", "Stool"]
    authors = (tmp_path / "furniture.authors.txt").read_text()
    assert authors == "Ann (CC-BY-3.0): Chair\nBob (CC-BY-3.0): Stool\n"


def test_catalogues_of_other_licences_are_refused(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path / "art.sh3f", b"", licence="Free Art License 1.3")
    with pytest.raises(DataError, match="CC0 or CC BY"):
        read_catalogue(path)
    (tmp_path / "no.sh3f").write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"expected a \.sh3f archive"):
        read_catalogue(tmp_path / "no.sh3f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://creativecommons.org/choose/zero/", "CC0-1.0"),
        ("Attribution 3.0 United States", "CC-BY-3.0-US"),
        ("http://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-sa/3.0/", None),
        ("Attribution-NonCommercial 3.0", None),
        ("GNU General Public License", None),
    ],
)
def test_licences_are_told_apart(text: str, expected: str | None) -> None:
    assert spdx_licence(text) == expected


@pytest.mark.parametrize(
    ("name", "category", "size", "elevation", "expected"),
    [
        ("Corner sofa", "Living room", (2.3, 1.4, 0.8), 0.0, "sofa"),
        ("Desk lamp", "Lights", (0.2, 0.2, 0.4), 0.0, "table_lamp"),
        ("Upper cabinet", "Kitchen", (0.6, 0.4, 0.7), 1.45, "wall"),
        ("Hanging light", "Lights", (0.4, 0.4, 0.8), 1.6, "hanging_lamp"),
        ("Coffee cup", "Kitchen", (0.1, 0.1, 0.04), 0.0, "small"),
        ("Door", "Doors and windows", (0.9, 0.2, 2.1), 0.0, None),
        ("Palm tree", "Exterior", (3.5, 3.1, 11.5), 0.0, None),
    ],
)
def test_kinds(name, category, size, elevation, expected) -> None:
    assert furniture_kind(name, category, size, elevation) == expected


def test_reduction_keeps_shape_and_colours() -> None:
    pytest.importorskip("open3d")
    corners = box_corners(2.0, 1.0, 1.0, steps=20).astype(np.float64)
    # The left half blue and another material.
    left = corners[..., 0].mean(axis=1) < 0
    colour = np.where(left[:, None], [0.1, 0.1, 0.9], [0.9, 0.1, 0.1])
    few = reduce_mesh(ColouredMesh(corners, colour, left.astype(np.int64)), most=200)
    assert few is not None and len(few.corners) <= 210
    np.testing.assert_allclose(np.ptp(few.corners.reshape(-1, 3), axis=0), [2, 1, 1], atol=1e-3)
    side = few.corners[..., 0].mean(axis=1)
    clear = np.abs(side) > 0.05
    assert ((few.colour[:, 2] > 0.5) == (side < 0))[clear].all()


def test_plants_keep_their_pots_and_some_leaves() -> None:
    pytest.importorskip("open3d")
    pot = box_corners(0.3, 0.3, 0.3, steps=8).astype(np.float64)
    random = np.random.default_rng(0)
    quad = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.02, 0], [0, 0.02, 0]])
    leaf = quad[[[0, 1, 3], [1, 2, 3]]]
    leaves = (leaf[None] + random.random((4000, 1, 1, 3))).reshape(-1, 3, 3)
    corners = np.concatenate([leaves, pot])
    plant = ColouredMesh(corners, random.random((len(corners), 3)), np.zeros(len(corners), int))
    thin = thin_leaves(plant, most=500)
    assert 1800 < len(thin.corners) <= 2000
    assert np.array_equal(thin.corners[-len(pot) :], pot)
    # No leaf is cut in two.
    assert (len(thin.corners) - len(pot)) % 2 == 0
    few = thin_leaves(ColouredMesh(pot, pot[:, 0], np.zeros(len(pot), int)), most=500)
    assert len(few.corners) == len(pot)


def test_a_mesh_that_loses_its_shape_is_refused() -> None:
    pytest.importorskip("open3d")
    # Loose triangles in space: there is nothing to join.
    random = np.random.default_rng(0)
    corners = random.random((5000, 1, 3)) + 0.01 * random.random((5000, 3, 3))
    loose = ColouredMesh(corners, random.random((5000, 3)), np.zeros(5000, np.int64))
    assert reduce_mesh(loose, most=100) is None


def test_an_archive_comes_back_as_it_was(tmp_path: Path) -> None:
    before, path = library(), tmp_path / "furniture.npz"
    before.save(path)
    after = load_furniture(path)
    assert len(after) == len(before)
    for index in (0, 5, len(before) - 1):
        old, new = before[index], after[index]
        assert np.array_equal(old.corners, new.corners)
        assert np.array_equal(old.colour, new.colour)
        assert (old.kind, old.size_m, old.clusters.sum()) == (
            new.kind, new.size_m, len(new.corners)
        )  # fmt: skip
    digest = furniture_digest(path)
    FurnitureLibrary.of([before[0]]).save(path)
    assert furniture_digest(path) != digest
    assert len(load_furniture(path)) == 1


def damaged_archives() -> dict[str, bytes]:
    buffer = io.BytesIO()
    library_file = io.BytesIO()
    arrays = {item: getattr(library()._arrays, item) for item in vars(library()._arrays)}
    np.savez(library_file, format=np.array("e2e_slam_ros furniture 1"), **arrays)
    whole = library_file.getvalue()

    def changed(**others: object) -> bytes:
        buffer.seek(0)
        buffer.truncate()
        np.savez(buffer, **{"format": np.array("e2e_slam_ros furniture 1"), **arrays, **others})
        return buffer.getvalue()

    return {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "another format": changed(format=np.array("furniture 2")),
        "a vertex that is not there": changed(triangles=arrays["triangles"] + 60000),
        "a size below zero": changed(size=-arrays["size"]),
        "an unknown kind": changed(kind=arrays["kind"] + 200),
        "runs that are too long": changed(clusters=arrays["clusters"][:-1]),
        "objects": changed(about=np.array([[object()] * 3])),
    }


@pytest.mark.parametrize("damage", damaged_archives())
def test_damaged_archives_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "furniture.npz"
    path.write_bytes(damaged_archives()[damage])
    with pytest.raises(DataError, match=r"furniture.*got .*expected .*build_furniture"):
        load_furniture(path)


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none.npz"):
        load_furniture(tmp_path / "none.npz")
    with pytest.raises(DataError, match="none.npz"):
        furniture_digest(tmp_path / "none.npz")
