"""The z-buffer on points whose pixels are known."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.evaluation.splat import splat
from e2e_slam_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(width=8, height=6, fx=4.0, fy=4.0, cx=3.0, cy=2.0)


def test_the_nearest_point_wins_and_is_told() -> None:
    points = np.array([[0, 0, 4.0], [0, 0, 2.0], [1, 1, 4.0], [0, 0, 3.0]])
    depth, index = splat(points, CAMERA)
    assert (depth[2, 3], index[2, 3]) == (2.0, 1)
    assert (depth[3, 4], index[3, 4]) == (4.0, 2)
    assert (depth > 0).sum() == (index >= 0).sum() == 2


def test_points_behind_beside_and_unknown_are_left_out() -> None:
    points = [[0, 0, -1.0], [0, 0, 0.0], [0, 0, 0.01], [9, 0, 1.0], [0, np.nan, 1.0]]
    depth, index = splat(np.array(points), CAMERA)
    assert not depth.any() and (index == -1).all()
    depth, index = splat(np.zeros((0, 3)), CAMERA)
    assert depth.shape == index.shape == (6, 8) and not depth.any()


def test_a_point_covers_its_square_also_across_the_edge() -> None:
    points = np.array([[0, 0, 2.0], [-1.5, -1.0, 2.0001]])
    depth, index = splat(points, CAMERA, np.array([3, 5]))
    assert (index[1:4, 2:5] >= 0).all()
    assert (index == 0).sum() + (index == 1).sum() == (depth > 0).sum()
    assert (index[:3, :3] == 1).sum() == 7  # the nearer point has the other two


@pytest.mark.parametrize("size", [1, 3])
def test_it_agrees_with_a_loop_over_points(size: int) -> None:
    dice = np.random.default_rng(0)
    points = dice.uniform([-2, -2, 0.0], [2, 2, 4.0], (300, 3))
    expected = np.full((6, 8), np.inf)
    for x, y, z in points:
        if z <= 0.05:
            continue
        u, v = (round(4.0 * c / z + o - (size - 1) / 2) for c, o in ((x, 3.0), (y, 2.0)))
        for row in range(max(v, 0), min(v + size, 6)):
            for column in range(max(u, 0), min(u + size, 8)):
                expected[row, column] = min(expected[row, column], z)
    depth, index = splat(points, CAMERA, size)
    assert depth == pytest.approx(np.where(np.isfinite(expected), expected, 0.0), rel=1e-6)
    assert points[index[index >= 0], 2] == pytest.approx(depth[index >= 0], rel=1e-6)
