"""Catalogues of furniture models as Sweet Home 3D keeps them (``.sh3f``).

A catalogue is a ZIP archive. ``PluginFurnitureCatalog.properties`` lists the models: name,
category, real size in centimetres, creator, and the path of a Wavefront OBJ file.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.simulation.furniture_kinds import furniture_kind

_LIST = "PluginFurnitureCatalog.properties"
_LINE = re.compile(r"\s*(\w+)#(\d+)\s*=\s*(.*?)\s*$")
_CENTIMETRE = 0.01
# Other conditions than giving the author's name.
_NOT_FREE = re.compile(
    r"share.?alike|non.?commercial|no.?deriv|by-(sa|nc|nd)|free art|general public", re.IGNORECASE
)
_LICENCES = (
    ("CC0-1.0", re.compile(r"creative commons zero|publicdomain/zero|choose/zero")),
    ("CC-BY-3.0-US", re.compile(r"by/3\.0/us|attribution 3\.0 united states")),
    ("CC-BY-3.0", re.compile(r"by/3\.0|attribution 3\.0")),
    ("CC-BY-4.0", re.compile(r"by/4\.0|attribution 4\.0")),
)


@dataclass(frozen=True)
class CatalogueModel:
    """One model of a catalogue.

    Attributes:
        name, author, licence: as the catalogue tells; the licence as an SPDX identifier.
        kind: one of `furniture_kinds.KINDS`.
        size_m: width, depth, height in metres.
        elevation_m: height of its lowest point above the floor.
        rotation: 3x3 matrix, row by row, that the OBJ file's points are multiplied with.
        obj: path of the OBJ file in the archive.

    >>> CatalogueModel("Chair", "A", "CC0-1.0", "seat", (0.5, 0.5, 0.9), elevation_m=0.0).kind
    'seat'
    """

    name: str
    author: str
    licence: str
    kind: str
    size_m: tuple[float, float, float]
    elevation_m: float
    rotation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    obj: str = ""


def read_catalogue(path: Path) -> list[CatalogueModel]:
    """Return the models of a catalogue that a room can hold, in the catalogue's order.

    Raises:
        DataError: not a catalogue, or its licence is neither CC0 nor CC BY.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(_LIST).decode("latin-1")
            names = [name for name in archive.namelist() if name.upper().startswith("LICENSE")]
            terms = "\n".join(archive.read(name).decode("latin-1") for name in names)
    except (OSError, KeyError, zipfile.BadZipFile) as problem:
        raise DataError.from_parts(
            f"catalogue {path}", problem, f"a .sh3f archive with {_LIST}",
            "give a file of the package sweethome3d-furniture",
        ) from problem  # fmt: skip
    head = "\n".join(line for line in text.splitlines() if line.startswith("license="))
    licence = spdx_licence(f"{terms}\n{head}")
    if licence is None:
        raise DataError.from_parts(
            f"licence of {path}", (terms or head or "none")[:80].strip(), "CC0 or CC BY",
            "leave this catalogue out",
        )  # fmt: skip
    entries: dict[int, dict[str, str]] = defaultdict(dict)
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            entries[int(match[2])][match[1]] = match[3]
    found = (_model(entry, licence) for _, entry in sorted(entries.items()))
    return [model for model in found if model is not None]


def spdx_licence(text: str) -> str | None:
    """Return the SPDX identifier of a free licence's text, or None for any other one.

    >>> spdx_licence("Creative Commons Attribution 3.0 Unported"), spdx_licence("CC by-nc/3.0")
    ('CC-BY-3.0', None)
    """
    if _NOT_FREE.search(text):
        return None
    lower = text.lower()
    return next((name for name, pattern in _LICENCES if pattern.search(lower)), None)


def _model(entry: dict[str, str], licence: str) -> CatalogueModel | None:
    """Return the model, or None for an entry that is damaged or belongs into no room."""
    try:
        wide, deep, high = (
            float(entry[key]) * _CENTIMETRE for key in ("width", "depth", "height")
        )
        elevation = float(entry.get("elevation", "0")) * _CENTIMETRE
        turn = tuple(float(part) for part in entry.get("modelRotation", "").split())
        path = entry["model"].lstrip("/")
    except (KeyError, ValueError):
        return None
    size = (wide, deep, high)
    kind = furniture_kind(entry.get("name", ""), entry.get("category", ""), size, elevation)
    if kind is None or min(size) <= 0 or len(turn) not in (0, 9):
        return None
    return CatalogueModel(
        name=entry.get("name", path),
        author=entry.get("creator", ""),
        licence=licence,
        kind=kind,
        size_m=size,
        elevation_m=elevation,
        rotation=turn or CatalogueModel.rotation,
        obj=path,
    )
