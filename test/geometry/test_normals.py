"""Normals of organised points: planes and spheres with known answers."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.normals import normals_from_points
from e2e_slam_ros.geometry.projection import backproject, pixel_rays

CAMERA = PinholeCamera(40, 30, 45.0, 44.0, 19.0, 15.5)


def _plane_points(normal: torch.Tensor, distance: float) -> torch.Tensor:
    """Points of the plane n . p = -distance (n towards the camera) at every pixel."""
    rays = pixel_rays(30, 40, CAMERA.matrix(dtype=torch.float64))
    depth = -distance / torch.einsum("c,bchw->bhw", normal, rays)[:, None]
    assert bool((depth > 0).all())
    return backproject(depth, CAMERA.matrix(dtype=torch.float64))


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, -55.0])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_tilted_plane(tilt_deg: float, axis: str) -> None:
    s, c = math.sin(math.radians(tilt_deg)), math.cos(math.radians(tilt_deg))
    normal = torch.tensor([s, 0.0, -c] if axis == "x" else [0.0, s, -c], dtype=torch.float64)
    points = _plane_points(normal, 2.0)
    normals, valid = normals_from_points(points, torch.ones(1, 1, 30, 40, dtype=torch.bool))
    assert bool(valid[..., 1:-1, 1:-1].all())
    assert not bool(valid[..., 0, :].any() | valid[..., :, 0].any())
    assert not bool(valid[..., -1, :].any() | valid[..., :, -1].any())
    inner = normals[0, :, 1:-1, 1:-1]
    torch.testing.assert_close(inner, normal[:, None, None].expand_as(inner), rtol=0, atol=1e-9)


def test_sphere_normals_point_away_from_its_centre() -> None:
    centre = torch.tensor([0.1, -0.05, 3.0], dtype=torch.float64)
    rays = pixel_rays(30, 40, CAMERA.matrix(dtype=torch.float64))[0]
    rays = rays[:, 8:22, 12:28]  # inside the silhouette of a sphere of radius 1
    a = (rays * rays).sum(0)
    b = torch.einsum("c,chw->hw", centre, rays)
    depth = (b - (b * b - a * (centre @ centre - 1.0)).sqrt()) / a
    points = (depth * rays)[None]
    normals, valid = normals_from_points(points, torch.ones(1, 1, 14, 16, dtype=torch.bool))
    truth = points - centre[:, None, None]
    cosine = (normals * truth).sum(1, keepdim=True)[valid]
    # Central differences over 2 * 2 / 45 of the radius: second-order error below a degree.
    assert float(cosine.min()) > math.cos(math.radians(1.0))
    length = normals.norm(dim=1, keepdim=True)
    torch.testing.assert_close(length, valid.to(length.dtype), rtol=0, atol=1e-12)


def test_holes_spread_to_the_four_neighbours_only() -> None:
    points = _plane_points(torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64), 2.0)
    known = torch.ones(1, 1, 30, 40, dtype=torch.bool)
    known[..., 10, 20] = False
    points[..., 10, 20] = math.nan
    points.requires_grad_()
    normals, valid = normals_from_points(points, known)
    lost = ~valid[0, 0, 1:-1, 1:-1]
    assert {(int(v) + 1, int(u) + 1) for v, u in lost.nonzero()} == {
        (10, 20), (9, 20), (11, 20), (10, 19), (10, 21)
    }  # fmt: skip
    assert bool(torch.isfinite(normals).all())
    normals.sum().backward()
    assert points.grad is not None and bool(torch.isfinite(points.grad).all())


def test_coinciding_points_have_no_normal() -> None:
    _, valid = normals_from_points(torch.ones(1, 3, 5, 5), torch.ones(1, 1, 5, 5).bool())
    assert not bool(valid.any())


def test_derivatives() -> None:
    points = _plane_points(torch.tensor([0.3, 0.0, -0.95], dtype=torch.float64), 2.0)
    points = points[..., :4, :4].detach().requires_grad_()
    known = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda p: normals_from_points(p, known)[0], (points,))
