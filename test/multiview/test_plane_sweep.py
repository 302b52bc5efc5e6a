"""Correlation over planes, on a wall whose every view is known in closed form."""

from __future__ import annotations

import torch

from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.multiview.box_mean import box_mean
from e2e_slam_ros.multiview.plane_sweep import correlate, plane_sweep
from e2e_slam_ros.multiview.sweep_view import sweep_view
from synthetic import pose

CAMERA = PinholeCamera(width=160, height=120, fx=140.0, fy=140.0, cx=79.5, cy=59.5)


def texture(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Noise on a 4 cm lattice, blended between lattice points: detail of some three pixels."""
    column, row = torch.floor(x / 0.04), torch.floor(y / 0.04)
    fx, fy = x / 0.04 - column, y / 0.04 - row

    def noise(i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return torch.frac(torch.sin(i * 12.9898 + j * 78.233) * 437.5).abs()

    upper = noise(column, row) * (1 - fx) + noise(column + 1, row) * fx
    lower = noise(column, row + 1) * (1 - fx) + noise(column + 1, row + 1) * fx
    return upper * (1 - fy) + lower * fy


def view(index: int, T_map_camera: torch.Tensor, wall_z: float = 2.0) -> Keyframe:
    """A keyframe of a textured wall at z = wall_z of the map frame."""
    v, u = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing="ij")
    rays = torch.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, u * 0 + 1])
    T = T_map_camera.float()
    turned = torch.einsum("ij,jhw->ihw", T[:3, :3], rays)
    depth = (wall_z - T[2, 3]) / turned[2]
    points = turned * depth + T[:3, 3, None, None]
    return Keyframe(
        index=index,
        frame_index=index,
        stamp_ns=index,
        image=texture(points[0], points[1]).expand(1, 3, -1, -1),
        camera=CAMERA,
        T_map_camera=T_map_camera,
        sensor_depth=depth[None, None],
        decision=KeyframeDecision(True, "test"),
    )


def test_the_true_plane_correlates_best() -> None:
    planes = torch.linspace(0.2, 2.0, 37)  # 0.05 apart: 0.5 is number 6
    views = [sweep_view(view(i, pose(x=0.15 * i)), 160) for i in range(3)]
    volume = plane_sweep(views[0], views[1:], planes)
    inside = volume.correlation[:, 10:-10, 40:-10]
    assert (inside.argmax(0) == 6).float().mean() > 0.98
    assert inside[6].mean() > 0.6


def test_it_is_exact_under_rotation_and_forward_motion() -> None:
    planes = torch.linspace(0.2, 2.0, 37)
    target = sweep_view(view(0, pose()), 160)
    for T in (pose(x=0.2, yaw_deg=4.0), pose(x=0.2, y=-0.1, z=0.2)):
        volume = plane_sweep(target, [sweep_view(view(1, T), 160)], planes)
        inside = volume.correlation[:, 20:-20, 50:-50]
        assert (inside.argmax(0) == 6).float().mean() > 0.9


def test_pixels_no_neighbour_sees_are_marked() -> None:
    planes = torch.linspace(0.2, 2.0, 10)
    target = sweep_view(view(0, pose()), 160)
    away = sweep_view(view(1, pose(yaw_deg=180.0)), 160)
    assert plane_sweep(target, [away], planes).views.max() == 0
    near = plane_sweep(target, [sweep_view(view(1, pose(x=0.4)), 160)], planes).views
    # At the nearest plane, 0.5 m, 0.4 m are 112 pixels: the left of the target is unseen.
    assert near[-1, :, :100].max() == 0 and near[-1, 60, -20] == 1


def test_a_pixel_is_seen_or_not() -> None:
    target = sweep_view(view(0, pose()), 160)
    source = sweep_view(view(1, pose(x=0.405)), 160)
    views = correlate(target, [source], torch.tensor([[0.5]]))[1][0, 10:-10]
    # 0.405 m at 2 m are 28.35 pixels. Windows of 7 pixels reach across the edge.
    assert views[:, :25].max() == 0 and torch.allclose(views[:, 32:-10], torch.tensor(1.0))
    columns = 7.0 * views[:, 25:32]  # of a window, those that the source shows: whole numbers
    assert torch.allclose(columns, columns.round(), atol=1e-3)


def test_the_box_mean_is_the_mean_of_the_box() -> None:
    image = torch.rand((2, 1, 20, 30), generator=torch.Generator().manual_seed(0))
    result = box_mean(image, 2)
    assert result.shape == image.shape
    assert torch.allclose(result[:, 0, 10, 12], image[:, 0, 8:13, 10:15].mean((1, 2)), atol=1e-5)
