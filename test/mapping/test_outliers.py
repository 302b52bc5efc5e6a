"""The statistical outlier filter."""

from __future__ import annotations

import numpy as np

from e2e_slam_ros.mapping.outliers import statistical_outliers, without_outliers
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


def wall_with_strays() -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(40) * 0.01, np.arange(40) * 0.01, [2.0]), -1)
    strays = np.array([[0.2, 0.2, 1.5], [0.1, 0.3, 1.0], [5.0, 5.0, 5.0]])
    return np.concatenate([grid.reshape(-1, 3), strays]).astype(np.float32)


def test_points_off_a_wall_are_found_and_the_wall_is_kept() -> None:
    far = statistical_outliers(wall_with_strays(), sigma=1.0)
    assert far[-1]
    assert not far[:-3].any()


def test_the_cloud_loses_them_in_every_column() -> None:
    positions = wall_with_strays()
    count = len(positions)
    cloud = SurfelCloud(
        positions, positions, np.zeros((count, 3), np.uint8), np.arange(count, dtype=np.float32)
    )
    cleaned = without_outliers(cloud)
    lost = count - len(cleaned)
    assert 1 <= lost <= 3
    assert len(cleaned.normals) == len(cleaned.colors) == len(cleaned.confidence) == count - lost
    assert cleaned.confidence.max() < count - 1


def test_too_few_points_are_all_kept() -> None:
    few = wall_with_strays()[-3:]
    assert not statistical_outliers(few).any() and len(statistical_outliers(few[:0])) == 0
