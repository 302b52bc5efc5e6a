"""The z-buffer: points, squares and depth maps in an image."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.splat import (
    nearest_depth,
    splat_depth,
    splat_points,
    splat_squares,
    winners,
)

WALL_M = 2.0
CAMERA = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)


def shapes() -> torch.Tensor:
    """Depth with a slope and a step, 1.5 to 4 m."""
    v, u = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    return (1.5 + u / 50 + v / 100 + 0.7 * (u > 32))[None, None]


def test_a_wall_seen_again_from_nearer() -> None:
    depth = torch.full((1, 1, 48, 64), WALL_M)
    moved = torch.eye(4, dtype=torch.float64)
    moved[2, 3] = -0.5
    there, weight = splat_depth(depth, torch.full_like(depth, 0.8), CAMERA, moved, CAMERA)
    assert (weight > 0).float().mean() > 0.95
    torch.testing.assert_close(there[weight > 0], torch.full_like(there[weight > 0], 1.5))
    assert weight.max() <= 1.0


def test_the_same_view_is_itself_and_unknown_stays_unknown() -> None:
    depth = shapes()
    depth[..., 10:20, 10:20] = 0.0
    weight = torch.full_like(depth, 0.8)
    there, seen = splat_depth(depth, weight, CAMERA, torch.eye(4), CAMERA)
    torch.testing.assert_close(there, depth, rtol=1e-3, atol=0)
    assert (seen[depth == 0] == 0).all()


def test_what_is_in_front_hides_what_is_behind() -> None:
    depth = torch.full((1, 1, 48, 64), 4.0)
    depth[..., 20:30, 30:40] = 1.0
    moved = torch.eye(4, dtype=torch.float64)
    moved[0, 3] = 0.1
    there, weight = splat_depth(depth, torch.ones_like(depth), CAMERA, moved, CAMERA)
    # The box moves 6 pixels to the right, the wall 1.5: what the box covers is the box.
    assert (there[..., 21:29, 37:45] == 1.0).all()
    # And what it uncovers is unknown.
    assert (weight[..., 21:29, 33:35] == 0).all()


def test_a_camera_turned_away_gives_nothing() -> None:
    depth = torch.full((1, 1, 48, 64), WALL_M)
    away = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64))
    _, weight = splat_depth(depth, torch.ones_like(depth), CAMERA, away, CAMERA)
    assert weight.max() == 0


def test_points_give_the_depth_and_the_index_of_the_nearest() -> None:
    points = torch.tensor(
        [[0.0, 0.0, 3.0], [0.01, 0.0, 2.0], [0.0, 0.01, 2.0], [1.0, -0.5, 4.0], [9.0, 0.0, 2.0]]
    )
    depth, index = splat_points(points, CAMERA)
    assert depth.shape == index.shape == (48, 64) and index.dtype == torch.int64
    # (31.5, 23.5) rounds to even; the first of two equally near points shows.
    assert (float(depth[24, 32]), int(index[24, 32])) == (2.0, 1)
    # u = 60 / 4 + 31.5, v = -30 / 4 + 23.5.
    assert (float(depth[16, 46]), int(index[16, 46])) == (4.0, 3)
    assert int((index >= 0).sum()) == 2 and int((depth > 0).sum()) == 2


def test_points_that_cannot_be_seen_are_left_out() -> None:
    bad = torch.tensor([[0.0, 0.0, -2.0], [0.0, 0.0, 0.01], [0.0, 0.0, 0.0]])
    broken = torch.tensor([[torch.nan, 0.0, 2.0], [0.0, 0.0, torch.nan], [0.0, 0.0, torch.inf]])
    for points in (bad, broken, bad[:0]):
        depth, index = splat_points(points, CAMERA)
        assert (depth == 0).all() and (index == -1).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_points_do_not_depend_on_their_order_and_match_the_painter(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand((3000, 3), generator=generator) * 4 - torch.tensor([2.0, 2.0, 0.5])
    depth, index = splat_points(points, CAMERA)
    order = torch.randperm(3000, generator=generator)
    again, shuffled = splat_points(points[order], CAMERA)
    assert torch.equal(again, depth)
    assert torch.equal(torch.where(shuffled >= 0, order[shuffled.clamp_min(0)], -1), index)
    painted = np.zeros((48, 64), np.float32)
    for x, y, z in sorted(points.tolist(), key=lambda point: -point[2]):
        if z > 0.05:
            u, v = round(x / z * 60 + 31.5), round(y / z * 60 + 23.5)
            if 0 <= u < 64 and 0 <= v < 48:
                painted[v, u] = z
    # Single and double precision round a few pixels differently.
    assert (np.abs(painted - depth.numpy()) > 1e-6).mean() < 0.002


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_squares_match_the_painter(seed: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    column, row = rng.integers(-6, 14, 40), rng.integers(-6, 12, 40)
    depth = rng.integers(-3, 4, 40) / 2.0
    painted = np.full((9, 11), -1)
    # Far to near, and of equally near ones the first last.
    for i in sorted(range(40), key=lambda i: (-depth[i], -i)):
        top, left = max(row[i], 0), max(column[i], 0)
        painted[top : max(row[i] + side, 0), left : max(column[i] + side, 0)] = i
    shown = splat_squares(*map(torch.from_numpy, (column, row, depth)), 11, 9, side)
    assert np.array_equal(shown.numpy(), painted)


def test_pixels_without_points_have_no_depth_and_no_winner() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert torch.isinf(nearest_depth(none, torch.empty(0), 3)).all()
    assert winners(none, none, 3).tolist() == [-1, -1, -1]
    assert splat_squares(none, none, torch.empty(0), 2, 2, 3).tolist() == [[-1, -1], [-1, -1]]
