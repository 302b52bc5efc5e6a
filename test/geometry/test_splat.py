"""Depth seen from another camera."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.splat import splat_depth

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
