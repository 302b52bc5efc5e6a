"""Fewer points of a map, evenly by place: one for each cube of a grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

# One point for each cube of this side. It grows by the factor until the points are few enough.
FINEST_M = 0.02
_COARSER = 1.3
# Cubes are numbered by 21 bits an axis: 20 km at the finest side.
_BITS = 21


def thinned(
    positions: npt.NDArray[np.float32], rows: Indices, most: int, spacing_m: float = FINEST_M
) -> tuple[Indices, float]:
    """Return the first row of each cube, in the order of the cubes, and the side of the cubes.

    The choice depends on the points alone: equal points give equal rows.

    Args:
        positions: (N, 3), metres, finite in the given rows.
        rows: (M,) rows to choose from; of two in one cube the first stays.
        most: largest number of rows; the cubes grow until it is kept.
        spacing_m: side of the cubes to begin with, metres.

    >>> points = np.array([[0.0, 0, 0], [0.001, 0, 0], [1, 0, 0]], np.float32)
    >>> rows, spacing_m = thinned(points, np.arange(3), most=2)
    >>> rows.tolist(), spacing_m
    ([0, 2], 0.02)
    """
    while True:
        cubes = np.floor(positions[rows] / spacing_m).astype(np.int64)
        _, first = np.unique(cell_keys(cubes), return_index=True)
        if len(first) <= most:
            return rows[first], spacing_m
        spacing_m *= _COARSER


def cell_keys(cells: Indices) -> Indices:
    """Return one number for each row of (N, 3) whole numbers.

    >>> len(set(cell_keys(np.array([[0, 0, 0], [-1, 0, 0], [0, 0, 1]])).tolist()))
    3
    """
    half = 1 << (_BITS - 1)
    x, y, z = (np.clip(cells + half, 0, 2 * half - 1)).T
    keys: Indices = (x << (2 * _BITS)) | (y << _BITS) | z
    return keys
