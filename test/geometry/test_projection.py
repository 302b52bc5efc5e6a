"""Pixels to points and back."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import backproject, pixel_grid, project

CAMERA = PinholeCamera(7, 5, 4.0, 5.0, 2.5, 1.5)


def test_pixel_grid_has_integer_centres() -> None:
    grid = pixel_grid(2, 3)
    assert grid.tolist() == [[[0, 1, 2], [0, 1, 2]], [[0, 0, 0], [1, 1, 1]]]


def test_backproject_by_hand() -> None:
    depth = torch.full((1, 1, 5, 7), 2.0)
    points = backproject(depth, CAMERA.matrix())
    assert points.shape == (1, 3, 5, 7)
    # pixel (6, 4): x = (6 - 2.5) / 4 * 2, y = (4 - 1.5) / 5 * 2
    torch.testing.assert_close(points[0, :, 4, 6], torch.tensor([1.75, 1.0, 2.0]))


def test_missing_depth_gives_the_origin() -> None:
    points = backproject(torch.zeros(1, 1, 5, 7), CAMERA.matrix())
    assert not points.any()


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 9), st.floats(0.1, 11.0), st.integers(0, 10_000))
def test_project_inverts_backproject(width: int, height: int, ratio: float, seed: int) -> None:
    generator = torch.manual_seed(seed)
    focal = ratio * width
    camera = PinholeCamera(width, height, focal, focal * 1.1, width / 3, height / 2)
    depth = 0.1 + 9.9 * torch.rand(2, 1, height, width, dtype=torch.float64, generator=generator)
    k = camera.matrix(dtype=torch.float64)
    uv, z = project(backproject(depth, k), k)
    grid = pixel_grid(height, width, dtype=torch.float64).expand(2, 2, height, width)
    torch.testing.assert_close(uv, grid, rtol=0, atol=1e-9)
    torch.testing.assert_close(z, depth, rtol=0, atol=0)


def test_a_batch_of_cameras_equals_one_at_a_time() -> None:
    other = PinholeCamera(7, 5, 9.0, 8.0, 3.0, 2.0)
    k = torch.stack([CAMERA.matrix(), other.matrix()])
    depth = 1 + torch.rand(2, 1, 5, 7, generator=torch.manual_seed(0))
    both = backproject(depth, k)
    torch.testing.assert_close(both[:1], backproject(depth[:1], CAMERA.matrix()))
    torch.testing.assert_close(both[1:], backproject(depth[1:], other.matrix()))
    uv, _ = project(both.flatten(2), k)
    torch.testing.assert_close(uv[1:], project(both[1:].flatten(2), other.matrix())[0])


def test_points_behind_the_camera_stay_finite() -> None:
    points = torch.tensor([[0.1, 0.2, -1.0], [0.1, 0.2, 0.0]]).T[None].requires_grad_()
    uv, z = project(points, CAMERA.matrix())
    assert z[0, 0].tolist() == [-1.0, 0.0]
    uv.sum().backward()
    assert points.grad is not None
    assert torch.isfinite(uv).all() and torch.isfinite(points.grad).all()


def test_derivatives() -> None:
    k = CAMERA.matrix(dtype=torch.float64).requires_grad_()
    depth = 1 + torch.rand(1, 1, 5, 7, dtype=torch.float64, generator=torch.manual_seed(0))
    depth.requires_grad_()
    assert torch.autograd.gradcheck(backproject, (depth, k))
    points = backproject(depth, k).detach()[..., :2, :3].requires_grad_()
    assert torch.autograd.gradcheck(lambda p, m: project(p, m)[0], (points, k))
