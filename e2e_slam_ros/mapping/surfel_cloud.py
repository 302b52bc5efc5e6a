"""A snapshot of the map as arrays, for files, messages and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class SurfelCloud:
    """N surfels of the map frame on the host.

    >>> rows = np.zeros((2, 3), np.float32)
    >>> len(SurfelCloud(rows, rows, rows.astype(np.uint8), np.ones(2, np.float32)))
    2

    Attributes:
        positions: (N, 3) float32, metres.
        normals: (N, 3) float32, unit.
        colors: (N, 3) uint8, RGB.
        confidence: (N,) float32, accumulated weight.
    """

    positions: npt.NDArray[np.float32]
    normals: npt.NDArray[np.float32]
    colors: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.positions.shape[0])
