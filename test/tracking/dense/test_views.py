"""Views, planes, and the map drawn as a depth image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.config.map import MapConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking.dense.map_reference import MapReference
from e2e_slam_ros.tracking.dense.plane_fit import fit_planes, plane_normals
from e2e_slam_ros.tracking.dense.preparation import DensePreparation
from e2e_slam_ros.tracking.dense.solver import adjoint, solve_motion
from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.depth_prior import DepthImage
from tracking.dense.scene import WALL, depth, intrinsics, pose
from tracking.plane import CAMERA
from tracking.plane import depth as wall_depth
from tracking.plane import frame as wall_frame
from tracking.plane import pose as wall_pose

CPU = torch.device("cpu")


def test_planes_stay_exact_beside_holes_and_at_every_level() -> None:
    T = pose((0.1, 0.2, -0.3, 0.3, -0.2, 0.1))
    z = depth(T, WALL)
    holes = torch.rand(z.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    view = DenseView.from_images(torch.zeros_like(z), torch.where(holes, 0.0, z), intrinsics())
    normal = T[0, :3, :3].T @ torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    offset = T[0, 2, 3] - 3.0
    for level in view.pyramid(3):
        used = level.has_normal[0, 0]
        assert used.double().mean() > 0.6
        assert torch.allclose(level.normals[0][:, used], normal[:, None], atol=1e-9)
        plane = normal @ level.points[0][:, used]
        assert torch.allclose(plane, offset.expand_as(plane), atol=1e-9)


def test_a_plane_does_not_span_two_surfaces() -> None:
    inverse = torch.full((1, 1, 20, 20), 0.5, dtype=torch.float64)
    inverse[..., 10:] = 0.25
    fit = fit_planes(inverse, 5)
    assert not bool(fit.valid[..., 8:12].any()) and bool(fit.valid[..., :8].all())
    k = torch.tensor([[[20.0, 0, 9.5], [0, 20.0, 9.5], [0, 0, 1.0]]], dtype=torch.float64)
    normals = plane_normals(fit, k)
    assert bool((normals[:, 2][fit.valid[:, 0]] == -1.0).all())


def test_a_frame_becomes_a_view_at_half_the_size(wall: np.ndarray) -> None:
    T = wall_pose(turn=(5.0, -8.0, 2.0))
    prepare = DensePreparation(CAMERA, 200, CPU)
    view = prepare(wall_frame(wall, 0, T))
    assert view.grey.shape == (1, 1, 120, 160) and prepare.camera.width == 160
    exact = torch.from_numpy(wall_depth(T, prepare.camera))
    used = view.has_depth[0, 0]
    assert used.float().mean() > 0.99
    assert torch.allclose(view.points[0, 2][used], exact[used], rtol=1e-4)


def test_distortion_is_taken_out() -> None:
    bent = PinholeCamera(160, 120, 120.0, 120.0, 79.5, 59.5, (0.1, -0.05, 0.0, 0.0))
    prepare = DensePreparation(bent, 320, CPU)
    assert not prepare.camera.is_distorted
    flat = np.full((120, 160), 2.0, np.float32)
    view = prepare(Frame(0, 0, np.zeros((120, 160, 3), np.uint8), bent, flat))
    used = view.has_normal[0, 0]
    assert bool((view.normals[0, 2][used] < -0.9999).all()) and used.float().mean() > 0.9


def test_depth_of_another_size_and_of_a_wrong_size(wall: np.ndarray) -> None:
    T = wall_pose(turn=(5.0, -8.0, 2.0))
    prepare = DensePreparation(CAMERA, 320, CPU)
    view = prepare(wall_frame(wall, 0, T, with_depth=False))
    assert not bool(view.has_depth.any())
    half = CAMERA.resized(160, 120)
    filled = prepare.with_depth(view, DepthImage(wall_depth(T, half), half, 0.1))
    exact = torch.from_numpy(wall_depth(T))
    used = filled.has_depth[0, 0]
    assert used.float().mean() > 0.98
    assert torch.allclose(filled.points[0, 2][used], exact[used], rtol=0.01)
    wrong = Frame(0, 0, np.zeros((240, 320, 3), np.uint8), CAMERA, np.ones((5, 5), np.float32))
    with pytest.raises(DepthError, match="register the depth"):
        prepare(wrong)


def test_the_map_is_drawn_where_another_view_sees_it() -> None:
    camera = PinholeCamera(160, 120, fx=140.0, fy=140.0, cx=79.5, cy=59.5)
    first, second = pose((0.0,) * 6), pose((0.1, 0.0, 0.1, 0.0, 0.08, 0.0))
    reference = MapReference(MapConfig(), CPU)
    z = depth(first).float()
    view = DenseView.from_images(torch.zeros_like(z), z, camera.matrix())
    reference.add(view, camera, np.eye(4), 0, 0)
    drawn, exact = reference.draw(camera, second[0])[0, 0], depth(second).float()[0, 0]
    seen = drawn > 0
    assert seen.float().mean() > 0.8
    relative = ((drawn - exact).abs() / exact)[seen]
    assert float(relative.median()) < 1e-4 and float((relative > 0.02).float().mean()) < 0.05
    reference.clear()
    assert not bool((reference.draw(camera, second[0]) > 0).any())


def test_the_adjoint_moves_a_twist_to_the_other_side() -> None:
    T, twist = pose((0.3, -0.2, 0.5, 0.4, 0.1, -0.6)), torch.tensor([[1.0, 2, 3, 4, 5, 6]]) * 0.05
    left = T @ se3.exp(twist.double()) @ se3.inverse(T)
    right = se3.exp((adjoint(T) @ twist.double()[..., None])[..., 0])
    assert torch.allclose(left, right)


def test_a_direction_without_information_is_not_moved() -> None:
    H = torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1e-6]))[None]
    one = torch.ones(1)
    step = solve_motion(H, torch.full((1, 6), -1e-3), one, one, weakest=1e-4)
    assert step.twist[0, :5].tolist() == pytest.approx([1e-3] * 5) and float(step.twist[0, 5]) == 0
    nonsense = solve_motion(H * torch.nan, torch.ones(1, 6), one, one, weakest=1e-4)
    assert bool((nonsense.twist == 0).all())
