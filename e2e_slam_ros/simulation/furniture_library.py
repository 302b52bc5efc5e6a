"""An archive of furniture models: triangles with colours in real size, and who made them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_bytes_atomic
from e2e_slam_ros.data.damaged_arrays import DAMAGED_ARRAYS
from e2e_slam_ros.simulation.furniture_kinds import KINDS
from e2e_slam_ros.simulation.mesh_clusters import CLUSTER_TRIANGLES

_FORMAT = "e2e_slam_ros furniture 2"
_STEPS = 65535


@dataclass(frozen=True, eq=False)
class FurnitureModel:
    """A piece of furniture that stands on z = 0 around the z axis. Its back faces +y.

    Attributes:
        corners: (T, 3, 3) float32, corners of the triangles in metres.
        colour: (T, 3) float32, sRGB in [0, 1].
        part: (T,) int64, number of the material.
        clusters: (C,) int64, how many triangles in turn make a cluster; at most 64 each.
        size_m: width, depth, height.
        elevation_m: height of the lowest point above the floor.
        kind: one of `furniture_kinds.KINDS`.
        name, author, licence: the licence as an SPDX identifier.

    >>> triangle = np.eye(3, dtype=np.float32)[None]
    >>> model = FurnitureModel(triangle, triangle[0, :1], np.zeros(1, np.int64),
    ...     np.ones(1, np.int64), (1.0, 1.0, 1.0), 0.0, "small", "A", "B", "CC0-1.0")
    >>> model.kind
    'small'
    """

    corners: npt.NDArray[np.float32]
    colour: npt.NDArray[np.float32]
    part: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int64]
    size_m: tuple[float, float, float]
    elevation_m: float
    kind: str
    name: str
    author: str
    licence: str


@dataclass(frozen=True, eq=False)
class _Arrays:
    """What the archive holds for M models: V vertices, T triangles, C clusters in all."""

    vertices: npt.NDArray[np.uint16]  # (V, 3), steps of the model's box
    triangles: npt.NDArray[np.uint16]  # (T, 3), vertices of the model
    colour: npt.NDArray[np.uint8]  # (T, 3)
    part: npt.NDArray[np.uint8]  # (T,)
    clusters: npt.NDArray[np.uint8]  # (C,)
    first: npt.NDArray[np.int64]  # (M + 1, 3), first vertex, triangle, cluster
    size: npt.NDArray[np.float32]  # (M, 3), metres
    elevation: npt.NDArray[np.float32]  # (M,), metres
    kind: npt.NDArray[np.uint8]  # (M,)
    about: npt.NDArray[np.str_]  # (M, 3), name, author, licence

    def check(self) -> None:
        """Raise ValueError where the arrays do not belong together."""
        ends = [len(self.vertices), len(self.triangles), len(self.clusters)]
        models = len(self.size)
        vertices = np.diff(self.first[:, 0]).repeat(np.diff(self.first[:, 1]))
        right = (
            models > 0
            and self.first.shape == (models + 1, 3)
            and self.vertices.shape == (ends[0], 3)
            and self.triangles.shape == self.colour.shape == (ends[1], 3)
            and self.part.shape == (ends[1],)
            and self.elevation.shape == (models,)
            and self.kind.shape == (models,)
            and self.about.shape == (models, 3)
            and self.about.dtype.kind == "U"
            and self.first[0].tolist() == [0, 0, 0]
            and self.first[-1].tolist() == ends
            and bool((np.diff(self.first, axis=0) > 0).all())
            and bool((self.triangles < vertices[:, None]).all())
            and bool((np.isfinite(self.size) & (self.size > 0)).all())
            and bool(np.isfinite(self.elevation).all())
            and int(self.kind.max()) < len(KINDS)
            and int(self.clusters.max()) <= CLUSTER_TRIANGLES
        )
        sums = np.add.reduceat(self.clusters.astype(np.int64), self.first[:-1, 2])
        if not right or not np.array_equal(sums, np.diff(self.first[:, 1])):
            raise ValueError("arrays that do not belong together")


class FurnitureLibrary:
    """The models of an archive.

    >>> triangle = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 1]]], np.float32)
    >>> chair = FurnitureModel(triangle, triangle[0, :1], np.zeros(1, np.int64),
    ...     np.ones(1, np.int64), (1.0, 1.0, 1.0), 0.0, "seat", "Chair", "A", "CC0-1.0")
    >>> library = FurnitureLibrary.of([chair])
    >>> len(library), library.of_kind("seat"), library[0].name
    (1, [0], 'Chair')
    """

    def __init__(self, arrays: _Arrays) -> None:
        self._arrays = arrays
        self._by_kind: dict[str, list[int]] = {
            kind: np.flatnonzero(arrays.kind == index).tolist() for index, kind in enumerate(KINDS)
        }

    @classmethod
    def of(cls, models: Sequence[FurnitureModel]) -> FurnitureLibrary:
        """Return a library of models; corners are rounded to 1/65535 of a model's box."""
        return cls(_packed(models))

    def __len__(self) -> int:
        return len(self._arrays.size)

    def __getitem__(self, index: int) -> FurnitureModel:
        a = self._arrays
        if not 0 <= index < len(self):
            raise IndexError(f"model {index} of {len(self)}")
        (v0, t0, c0), (v1, t1, c1) = a.first[index], a.first[index + 1]
        wide, deep, high = (float(value) for value in a.size[index])
        low = np.array([-wide / 2, -deep / 2, 0.0], dtype=np.float32)
        vertices = a.vertices[v0:v1].astype(np.float32) / _STEPS * a.size[index] + low
        name, author, licence = (str(text) for text in a.about[index])
        return FurnitureModel(
            corners=vertices[a.triangles[t0:t1]],
            colour=a.colour[t0:t1].astype(np.float32) / 255.0,
            part=a.part[t0:t1].astype(np.int64),
            clusters=a.clusters[c0:c1].astype(np.int64),
            size_m=(wide, deep, high),
            elevation_m=float(a.elevation[index]),
            kind=KINDS[int(a.kind[index])],
            name=name,
            author=author,
            licence=licence,
        )

    def of_kind(self, *kinds: str) -> list[int]:
        """Return the numbers of all models of some kinds."""
        return [index for kind in kinds for index in self._by_kind[kind]]

    def size_m(self, index: int) -> tuple[float, float, float]:
        """Return width, depth and height of a model."""
        wide, deep, high = (float(value) for value in self._arrays.size[index])
        return wide, deep, high

    def credits(self) -> list[tuple[str, str, str]]:
        """Return (author, licence, name of the model) of every model, sorted."""
        return sorted({(str(a), str(lic), str(name)) for name, a, lic in self._arrays.about})

    def save(self, path: Path) -> None:
        """Write the archive, all of it or nothing.

        Raises:
            DataError: the file cannot be written.
        """
        buffer = io.BytesIO()
        arrays = {item.name: getattr(self._arrays, item.name) for item in fields(_Arrays)}
        np.savez_compressed(buffer, format=np.array(_FORMAT), **arrays)
        write_bytes_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> FurnitureLibrary:
        """Read an archive.

        Raises:
            DataError: missing, damaged, or no archive of furniture.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["format"]) != _FORMAT:
                    raise ValueError(f"format {str(stored['format'])[:40]!r}")
                arrays = _Arrays(*(stored[item.name] for item in fields(_Arrays)))
            arrays.check()
        except DAMAGED_ARRAYS as problem:
            raise refused(path, problem) from problem
        return cls(arrays)


def _packed(models: Sequence[FurnitureModel]) -> _Arrays:
    """Return the arrays of an archive of these models."""
    vertices, triangles, counts = [], [], [(0, 0, 0)]
    for model in models:
        wide, deep, _ = model.size_m
        low = np.array([-wide / 2, -deep / 2, 0.0])
        scaled = (model.corners.reshape(-1, 3) - low) / np.array(model.size_m)
        steps = np.clip(np.rint(scaled * _STEPS), 0, _STEPS).astype(np.uint16)
        unique, index = np.unique(steps, axis=0, return_inverse=True)
        vertices.append(unique)
        triangles.append(index.reshape(-1, 3).astype(np.uint16))
        counts.append((len(unique), len(model.corners), len(model.clusters)))
    parts = [np.unique(model.part, return_inverse=True)[1].clip(0, 255) for model in models]
    colours = [np.rint(255 * model.colour.clip(0, 1)).astype(np.uint8) for model in models]
    arrays = _Arrays(
        vertices=np.concatenate(vertices),
        triangles=np.concatenate(triangles),
        colour=np.concatenate(colours),
        part=np.concatenate(parts).astype(np.uint8),
        clusters=np.concatenate([model.clusters for model in models]).astype(np.uint8),
        first=np.cumsum(np.array(counts, dtype=np.int64), axis=0),
        size=np.array([model.size_m for model in models], dtype=np.float32),
        elevation=np.array([model.elevation_m for model in models], dtype=np.float32),
        kind=np.array([KINDS.index(model.kind) for model in models], dtype=np.uint8),
        about=np.array([(m.name, m.author, m.licence) for m in models]).reshape(-1, 3),
    )
    arrays.check()
    return arrays


def refused(path: Path, problem: Exception) -> DataError:
    """Return the error that says why an archive cannot be read."""
    return DataError.from_parts(
        f"furniture {path}",
        str(problem) or type(problem).__name__,
        f"an archive of the format {_FORMAT!r}",
        "build it with tools/build_furniture.py",
    )
