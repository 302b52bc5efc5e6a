"""The clouds of the Chamfer distance."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.losses.cloud import in_view, local_cloud
from synthetic import CAMERA, pose, wall_depth


def test_two_views_of_a_wall_give_points_of_one_wall() -> None:
    for T in (pose(), pose(x=0.4, z=-0.3, yaw_deg=15.0)):
        points = local_cloud(wall_depth(T), CAMERA, T)
        assert points.shape == (48 * 64, 3)
        assert torch.allclose(points[:, 2], torch.full((48 * 64,), 2.0), atol=1e-5)


def test_invalid_depth_is_left_out_and_points_are_thinned_evenly() -> None:
    depth = wall_depth(pose())
    depth[..., :10, :] = 0.0
    depth[..., 10, 0] = float("nan")
    depth[..., 10, 1] = -1.0
    assert local_cloud(depth, CAMERA, pose()).shape == (38 * 64 - 2, 3)
    few = local_cloud(depth, CAMERA, pose(), max_points=100)
    assert few.shape == (100, 3) and bool(torch.isfinite(few).all())
    assert float(few[:, 1].max()) > 0.7 * float(local_cloud(depth, CAMERA, pose())[:, 1].max())
    assert local_cloud(torch.zeros_like(depth), CAMERA, pose()).shape == (0, 3)


def test_gradients_reach_the_depth_of_the_chosen_pixels_only() -> None:
    depth = wall_depth(pose())
    depth[..., 0, 0] = float("nan")
    depth.requires_grad_()
    local_cloud(depth, CAMERA, pose(), max_points=64)[:, 2].sum().backward()
    assert depth.grad is not None and bool(torch.isfinite(depth.grad).all())
    assert float(depth.grad.sum()) == pytest.approx(64.0)  # dz/dd = 1 in an unturned view


def test_in_view_is_the_image_and_in_front() -> None:
    points = torch.tensor(
        [[0.0, 0, 2.0], [0.0, 0, -2.0], [1.06, 0, 2.0], [1.08, 0, 2.0], [0.0, 0.81, 2.0]]
    )
    # Half the image is 32 pixels wide: 2 m away, 32 / 60 * 2 = 1.067 m.
    assert in_view(points, CAMERA, pose()).tolist() == [True, False, True, False, False]
    behind = in_view(points, CAMERA, pose(yaw_deg=180.0))
    assert behind.tolist() == [False, True, False, False, False]
    assert in_view(points[:0], CAMERA, pose()).shape == (0,)


def test_what_another_surface_hides_is_not_in_view() -> None:
    T = pose()
    near, far = local_cloud(wall_depth(T), CAMERA, T), local_cloud(wall_depth(T, 3.0), CAMERA, T)
    both = torch.cat([near, far])
    seen = in_view(both, CAMERA, T)
    assert bool(seen[: len(near)].all()) and not bool(seen[len(near) :].any())
    assert bool(in_view(both, CAMERA, T, margin=0.6).all())
    assert bool(in_view(both, CAMERA, T, margin=math.inf).all())
    assert bool(in_view(far, CAMERA, T).all())


def test_a_given_depth_hides_and_an_unknown_one_does_not() -> None:
    T = pose()
    far = local_cloud(wall_depth(T, 3.0), CAMERA, T)
    depth = wall_depth(T)
    depth[..., 32:] = 0.0
    seen = in_view(far, CAMERA, T, depth=depth).reshape(48, 64)
    assert not bool(seen[:, :32].any()) and bool(seen[:, 32:].all())
