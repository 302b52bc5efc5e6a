"""The map in cells, so that a viewer sends only what has changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.thinning import FINEST_M, cell_keys, thinned

Cell = tuple[int, int, int]
Indices = npt.NDArray[np.int64]

_CELL_M = 2.0


@dataclass(frozen=True, eq=False)
class CellPoints:
    """The points of one cell.

    Attributes:
        origin: (3,) float64, centre of the cell in the map frame, metres.
        points: (N, 3) float16, relative to ``origin``: a step is at most 1 mm.
        colors: (N, 3) uint8, RGB.

    Example:
        >>> CellPoints(np.ones(3), np.zeros((1, 3), np.float16), np.zeros((1, 3), np.uint8)).count
        1
    """

    origin: npt.NDArray[np.float64]
    points: npt.NDArray[np.float16]
    colors: npt.NDArray[np.uint8]

    @property
    def count(self) -> int:
        """The number of points."""
        return len(self.points)


@dataclass(frozen=True)
class CellChanges:
    """Changes of a shown map that make it the newest one.

    Attributes:
        changed: cells that are new or have other points than before.
        gone: cells that have no points any more.
        spacing_m: distance of neighbouring points, metres.

    Example:
        >>> CellChanges({}, (), 0.02).gone
        ()
    """

    changed: dict[Cell, CellPoints]
    gone: tuple[Cell, ...]
    spacing_m: float


class MapCells:
    """Thins maps evenly, cuts them into cells of 2 m, and finds the cells that have changed.

    The thinning depends on the points alone, so that a part of the map that nobody looks at stays
    as it is and is not sent again.

    Args:
        most: largest number of points in all cells.

    Example:
        >>> cells, points = MapCells(1000), np.array([[0.5, 0, 1], [0.501, 0, 1], [3, 0, 1]], "f")
        >>> grey = np.full((3, 3), 128, np.uint8)
        >>> cloud = SurfelCloud(points, points, grey, points[:, 0])
        >>> [len(cell.points) for cell in cells.update(cloud).changed.values()]
        [1, 1]
        >>> cells.update(cloud).changed
        {}
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._spacing_m = FINEST_M
        self._sent: dict[Cell, bytes] = {}

    def update(self, cloud: SurfelCloud) -> CellChanges:
        """Return the changes since the last map. Points that are not finite are left out."""
        finite = np.flatnonzero(np.isfinite(cloud.positions).all(axis=1))
        chosen, self._spacing_m = thinned(cloud.positions, finite, self._most, self._spacing_m)
        positions, colors = cloud.positions[chosen], cloud.colors[chosen]
        cells, changed, sent = np.floor(positions / _CELL_M).astype(np.int64), {}, {}
        for cell, rows in _groups(cells):
            origin = (np.array(cell) + 0.5) * _CELL_M
            points = (positions[rows] - origin).astype(np.float16)
            item = CellPoints(origin, points, colors[rows])
            sent[cell] = hashlib.blake2b(points.tobytes() + item.colors.tobytes()).digest()
            if sent[cell] != self._sent.get(cell):
                changed[cell] = item
        gone = tuple(cell for cell in self._sent if cell not in sent)
        self._sent = sent
        return CellChanges(changed, gone, self._spacing_m)


def _groups(cells: Indices) -> list[tuple[Cell, Indices]]:
    """Return the rows of each cell of (N, 3), cells in order and rows as they were."""
    if not len(cells):
        return []
    keys = cell_keys(cells)
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    groups = []
    for rows in np.split(order, ends):
        x, y, z = cells[rows[0]].tolist()
        groups.append(((x, y, z), rows))
    return groups
