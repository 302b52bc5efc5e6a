"""From catalogues of furniture models to a `FurnitureLibrary`."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.simulation.furniture_catalogue import CatalogueModel, read_catalogue
from e2e_slam_ros.simulation.furniture_library import FurnitureModel
from e2e_slam_ros.simulation.mesh_clusters import mesh_clusters
from e2e_slam_ros.simulation.mesh_reduction import ColouredMesh, read_obj, reduce_mesh, thin_leaves

# Factor of the triangles by kind, and the share of the area that must be left. Shelves hold many
# books, plants have many leaves.
_MORE_FOR = {"shelf": 2.5, "plant": 3.0, "pot_plant": 2.0, "person": 1.5}
_AREA_KEPT = {"plant": 0.35, "pot_plant": 0.35}
_LEAFY = ("plant", "pot_plant")
_BLACKEST = 0.06


def convert_catalogue(path: Path, most: int = 600) -> Iterator[FurnitureModel | str]:
    """Give every usable model of a catalogue, and a message for every one left out.

    Args:
        most: triangles of a model; shelves, plants and people get more.

    Raises:
        DataError: not a catalogue, or its licence is neither CC0 nor CC BY.
    """
    entries = read_catalogue(path)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        for entry in entries:
            try:
                yield _converted(entry, Path(folder) / entry.obj, most)
            except DataError as problem:
                yield f"{entry.name}: {problem}"


def _converted(entry: CatalogueModel, obj: Path, most: int) -> FurnitureModel:
    """Return a model in the room's frame and in its real size."""
    if not obj.is_file():
        raise DataError.from_parts("model", f"no file {entry.obj}", "an OBJ file", "leave it out")
    mesh = read_obj(obj)
    # OBJ files have y up and the front at +z; here z is up and the front at -y.
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) @ np.array(entry.rotation).reshape(3, 3)
    turned = mesh.corners @ turn.T
    size = np.array(entry.size_m)
    low, extent = turned.min(axis=(0, 1)), np.ptp(turned.reshape(-1, 3), axis=0)
    scaled = (turned - low) / np.maximum(extent, 1e-9) * size - [size[0] / 2, size[1] / 2, 0.0]
    limit = int(most * _MORE_FOR.get(entry.kind, 1.0))
    whole = ColouredMesh(scaled, mesh.colour, mesh.part)
    if entry.kind in _LEAFY:
        whole = thin_leaves(whole, limit)
    few = reduce_mesh(whole, limit, _AREA_KEPT.get(entry.kind, 0.6))
    if few is None:
        raise DataError.from_parts(
            "reduced model", "another shape", "the original's area and box", "leave it out"
        )
    order, clusters = mesh_clusters(few.corners)
    return FurnitureModel(
        corners=few.corners[order].astype(np.float32),
        colour=few.colour[order].clip(_BLACKEST, 1.0).astype(np.float32),
        part=few.part[order],
        clusters=clusters,
        size_m=entry.size_m,
        elevation_m=entry.elevation_m,
        kind=entry.kind,
        name=entry.name,
        author=entry.author,
        licence=entry.licence,
    )


def authors_text(credits: Iterable[tuple[str, str, str]]) -> str:
    """Return a list of authors with their licences and models, for the model card.

    >>> print(authors_text([("Ann", "CC-BY-3.0", "Sofa"), ("Ann", "CC-BY-3.0", "Table")]), end="")
    Ann (CC-BY-3.0): Sofa, Table
    """
    models: dict[tuple[str, str], list[str]] = {}
    for author, licence, name in credits:
        models.setdefault((author or "unnamed", licence), []).append(name)
    return "".join(
        f"{author} ({licence}): {', '.join(names)}\n"
        for (author, licence), names in sorted(models.items())
    )
