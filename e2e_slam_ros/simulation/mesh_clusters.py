"""Order of a mesh's triangles so that runs of neighbours have small boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CLUSTER_TRIANGLES = 64


def mesh_clusters(
    corners: npt.NDArray[np.floating], most: int = CLUSTER_TRIANGLES
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split a mesh at medians of its triangles' centres until no part has more than ``most``.

    Args:
        corners: (T, 3, 3), T triangles.

    Returns:
        (T,) int64, the order of the triangles, and (clusters,) int64, how many of them in turn
        make a cluster.

    >>> order, count = mesh_clusters(np.random.default_rng(0).random((10, 3, 3)), most=4)
    >>> sorted(order.tolist()) == list(range(10)), count.tolist()
    (True, [2, 3, 2, 3])
    """
    centres = corners.mean(axis=1)
    open_parts = [np.arange(len(corners))]
    closed: list[npt.NDArray[np.int64]] = []
    while open_parts:
        part = open_parts.pop()
        if len(part) <= most:
            closed.append(part)
            continue
        box = corners[part].reshape(-1, 3)
        axis = int(np.argmax(box.max(axis=0) - box.min(axis=0)))
        part = part[np.argsort(centres[part, axis], kind="stable")]
        middle = len(part) // 2
        open_parts += [part[middle:], part[:middle]]
    return np.concatenate(closed), np.array([len(part) for part in closed])
