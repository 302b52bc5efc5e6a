"""The part of a bundle problem's normal matrix that couples landmarks with cameras.

It has 3 rows a landmark and 6 columns a camera. A window of a few dozen keyframes sees most of its
landmarks from many of them: a dense array is fastest. In a whole map a landmark is seen by few of
the keyframes: only blocks that are not zero are stored.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import bsr_array, csr_array, issparse

from e2e_slam_ros.tracking.rigid import Floats

# scipy's arrays have no element type for a checker.
CrossBlock: TypeAlias = Any

# Entries up to which the block is dense: 40 MB.
_MOST_DENSE = 5_000_000


def cross_block(
    blocks: Floats,
    point: npt.NDArray[np.int64],
    camera: npt.NDArray[np.int64],
    points: int,
    columns: int,
) -> CrossBlock:
    """Return the (3 points, columns) matrix of ``blocks`` (M, 3, 6), dense or sparse.

    Args:
        blocks: of each observation.
        point, camera: (M,) landmark and camera of each; no pair of the two occurs twice.
        points: number of landmarks.
        columns: 6 for each camera and those of further unknowns, which stay 0.
    """
    if 3 * points * columns <= _MOST_DENSE or columns % 6:
        dense = np.zeros((points, 3, columns))
        cameras = columns // 6
        by_camera = dense[:, :, : 6 * cameras].reshape(points, 3, cameras, 6)
        by_camera[point, :, camera, :] = blocks
        dense[:, :, : 6 * cameras] = by_camera.reshape(points, 3, -1)
        return dense.reshape(-1, columns)
    rows = 3 * point[:, None, None] + np.arange(3)[:, None]
    across = 6 * camera[:, None, None] + np.arange(6)
    rows, across = np.broadcast_arrays(rows, across)
    entries = (blocks.ravel(), (rows.ravel(), across.ravel()))
    return csr_array(entries, shape=(3 * points, columns))


def times_blocks(blocks: npt.NDArray[np.floating[Any]], cross: CrossBlock) -> CrossBlock:
    """Return the block-diagonal matrix of ``blocks`` (L, 3, 3) times ``cross``."""
    count = len(blocks)
    if not issparse(cross):
        return (blocks @ cross.reshape(count, 3, -1)).reshape(cross.shape)
    diagonal = bsr_array(
        (blocks, np.arange(count), np.arange(count + 1)), shape=(3 * count, 3 * count)
    )
    return (diagonal @ cross).tocsr()


def as_dense(matrix: CrossBlock) -> Floats:
    """Return a dense (N, M) array of a matrix that may be sparse."""
    return np.asarray(matrix.toarray() if issparse(matrix) else matrix)
