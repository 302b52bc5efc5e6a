"""Surfels that stand alone: the statistical outlier filter."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


def statistical_outliers(
    positions: npt.NDArray[np.float32], neighbours: int = 16, sigma: float = 2.0
) -> npt.NDArray[np.bool_]:
    """Return (N,) bool: points unusually far from their neighbours (Rusu et al. 2008).

    A point is an outlier when its mean distance to its ``neighbours`` nearest points is more than
    ``sigma`` standard deviations above the mean over all points.

    Args:
        positions: (N, 3) metres.
        neighbours: number of nearest points to look at.
        sigma: smaller removes more.
    """
    from scipy.spatial import cKDTree

    if len(positions) <= neighbours:
        return np.zeros(len(positions), dtype=bool)
    # The nearest of each point is the point itself.
    distance, _ = cKDTree(positions).query(positions, k=neighbours + 1, workers=-1)
    mean = distance[:, 1:].mean(axis=1)
    far: npt.NDArray[np.bool_] = mean > mean.mean() + sigma * mean.std()
    return far


def without_outliers(cloud: SurfelCloud, neighbours: int = 16, sigma: float = 2.0) -> SurfelCloud:
    """Return the cloud without its statistical outliers."""
    kept = ~statistical_outliers(cloud.positions, neighbours, sigma)
    return dataclasses.replace(
        cloud,
        positions=cloud.positions[kept],
        normals=cloud.normals[kept],
        colors=cloud.colors[kept],
        confidence=cloud.confidence[kept],
    )
