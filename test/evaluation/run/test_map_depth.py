"""The nearest square at each pixel, and the map's depth from squares."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.evaluation.run.map_depth import map_depth, nearest_square
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

CAMERA = PinholeCamera(width=8, height=6, fx=4.0, fy=4.0, cx=3.0, cy=2.0)


def test_a_square_covers_pixels_also_across_the_edge() -> None:
    pixels, depth = np.array([[3.0, 2.0], [0.0, 0.0]]), np.array([2.0, 2.1])
    nearest, index = nearest_square(pixels, depth, np.array([3, 5]), 8, 6)
    assert (index[1:4, 2:5] == 0).all()
    assert (index == 0).sum() + (index == 1).sum() == np.isfinite(nearest).sum()
    assert (index[:3, :3] == 1).sum() == 7  # the nearer square has the other two


@pytest.mark.parametrize("orthographic", [False, True])
def test_it_agrees_with_a_loop_over_squares(orthographic: bool) -> None:
    dice = np.random.default_rng(0)
    pixels, sides = dice.uniform(-3.0, 11.0, (300, 2)), dice.integers(1, 5, 300)
    depth = dice.uniform(-2.0 if orthographic else 0.1, 4.0, 300)
    expected = np.full((6, 8), np.inf)
    for (x, y), z, side in zip(pixels, depth, sides, strict=True):
        u, v = (round(c - (side - 1) / 2) for c in (x, y))
        for row in range(max(v, 0), min(v + side, 6)):
            for column in range(max(u, 0), min(u + side, 8)):
                expected[row, column] = min(expected[row, column], z)
    nearest, index = nearest_square(pixels, depth, sides, 8, 6)
    assert nearest == pytest.approx(expected)
    assert (depth[index[index >= 0]] == nearest[index >= 0]).all()


def test_surfels_behind_and_from_behind_are_left_out() -> None:
    positions = np.array([[0, 0, 2.0], [0, 0, -1.0], [0, 0, 1.0]], np.float32)
    normals = np.array([[0, 0, -1.0], [0, 0, -1.0], [0, 0, 1.0]], np.float32)
    ones = np.ones(3, np.float32)
    cloud = SurfelCloud(positions, normals, np.zeros((3, 3), np.uint8), ones)
    depth = map_depth(cloud, CAMERA, np.eye(4))
    assert depth[2, 3] == 2.0 and (depth > 0).sum() == 9
    assert not map_depth(cloud, CAMERA, np.diag([1.0, -1.0, -1.0, 1.0])).any()
