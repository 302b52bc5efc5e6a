"""ICP, gradICP and photometric alignment recover known motions of exact scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.config.dense import OdometryConfig
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.tracking.dense.alignment import Aligner
from e2e_slam_ros.tracking.dense.gradicp import gradicp, gradicp_alignment
from e2e_slam_ros.tracking.dense.icp import icp
from e2e_slam_ros.tracking.dense.photometric import PhotometricAligner, photometric
from e2e_slam_ros.tracking.dense.view import DenseView
from tracking.dense.scene import MOTION, WALL, depth, error, intrinsics, picture, pose, view

LIMITS = OdometryConfig()
START = torch.eye(4, dtype=torch.float64)[None]
ALIGNERS: list[Aligner] = [icp, gradicp_alignment, photometric]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-8)])
def test_icp_finds_a_motion_to_the_precision_of_its_numbers(
    dtype: torch.dtype, tolerance: float
) -> None:
    true = pose(MOTION, dtype)
    result = icp(view(true), view(pose((0.0,) * 6, dtype)), START.to(dtype))
    assert error(result.T_reference_camera, true) < tolerance
    assert bool(result.succeeded(LIMITS)) and float(result.agreement) > 0.95


def test_gradicp_finds_the_same_motion() -> None:
    true = pose(MOTION)
    assert error(gradicp(view(true), view(START), START), true) < 1e-4


@pytest.mark.parametrize("with_depth", [True, False])
def test_brightness_finds_the_motion_to_the_precision_of_interpolation(with_depth: bool) -> None:
    """Gain and offset of brightness differ between the views, and are found too."""
    true = pose(MOTION)
    z = depth(true)
    grey = 1.2 * picture(true, z) - 0.05
    seen = z if with_depth else torch.zeros_like(z)
    brighter = DenseView.from_images(grey, seen, intrinsics()).pyramid(3)
    aligner = PhotometricAligner(brighter, view(START))
    result = aligner.align(START)
    assert error(result.T_reference_camera, true) < 5e-4
    assert bool(result.succeeded(LIMITS))
    gain, offset = aligner.shades[0].tolist()
    assert abs(np.exp(gain) - 1.2) < 0.01 and abs(offset + 0.05) < 0.01


@pytest.mark.parametrize("align", ALIGNERS)
def test_a_batch_gives_what_single_views_give(align: Aligner) -> None:
    poses = torch.cat([pose(MOTION), pose(tuple(-0.5 * x for x in MOTION))])
    both = align(view(poses), view(START), START.expand(2, -1, -1)).T_reference_camera
    for index in range(2):
        single = align(view(poses[index : index + 1]), view(START), START).T_reference_camera
        # The batch stops when all are still, so it may take a step more.
        assert error(both[index : index + 1], single) < 1e-6


@pytest.mark.parametrize("align", ALIGNERS)
def test_several_starts_for_one_view(align: Aligner) -> None:
    true = pose(MOTION)
    starts = torch.cat([START, true])
    result = align(view(true), view(START), starts)
    assert error(result.T_reference_camera[1:], true) < 5e-4
    best = result.best(LIMITS)
    assert best is not None and error(best.T_reference_camera, true) < 5e-4


@pytest.mark.parametrize("align", [icp, gradicp_alignment])
def test_a_plane_is_told_from_a_room(align: Aligner) -> None:
    """Sliding and turning on a plane cannot be seen: refused, and only the known part moves."""
    true = pose((0.0, 0.0, 0.05, 0.02, -0.03, 0.0))
    result = align(view(true, WALL), view(START, WALL), START)
    assert float(result.weakest) < 1e-6 and not bool(result.succeeded(LIMITS))
    twist = se3.log(se3.inverse(true) @ result.T_reference_camera)[0]
    assert float(twist[2].abs()) < 5e-3 and float(twist[3:5].abs().max()) < 1e-3
    spread = result.covariance[0].diagonal().sqrt()
    assert float(spread[0]) > 10.0 * float(spread[2])


def test_a_plane_with_texture_is_no_problem_for_brightness() -> None:
    true = pose((0.04, -0.02, 0.05, 0.02, -0.03, 0.02))
    result = photometric(view(true, WALL), view(START, WALL), START)
    assert error(result.T_reference_camera, true) < 5e-4 and bool(result.succeeded(LIMITS))


@pytest.mark.parametrize("align", ALIGNERS)
def test_views_that_share_nothing_are_refused(align: Aligner) -> None:
    away = pose((0.0, 0.0, 0.0, 0.0, 3.0, 0.0))
    result = align(view(START), view(START), away)
    assert not bool(result.succeeded(LIMITS)) and result.best(LIMITS) is None


@pytest.mark.parametrize("align", ALIGNERS)
def test_missing_depth_is_left_out(align: Aligner) -> None:
    true = pose(MOTION)
    generator = torch.Generator().manual_seed(0)
    views = []
    for T in (true, START):
        z = depth(T)
        grey = picture(T, z)
        where = torch.rand(z.shape, generator=generator)
        z = torch.where(where < 0.1, torch.nan, z)
        z = torch.where((where > 0.1) & (where < 0.15), torch.inf, z)
        z = torch.where((where > 0.15) & (where < 0.3), 0.0, z)
        views.append(DenseView.from_images(grey, z, intrinsics()).pyramid(3))
    result = align(views[0], views[1], START)
    assert error(result.T_reference_camera, true) < 1e-3 and bool(result.succeeded(LIMITS))


@pytest.mark.parametrize("align", ALIGNERS)
def test_no_depth_at_all_is_refused(align: Aligner) -> None:
    nothing = torch.full((1, 1, 48, 64), torch.nan, dtype=torch.float64)
    empty = DenseView.from_images(torch.zeros_like(nothing), nothing, intrinsics()).pyramid(3)
    result = align(empty, empty, START)
    assert bool(torch.isfinite(result.T_reference_camera).all())
    assert not bool(result.succeeded(LIMITS))


def test_a_black_image_is_refused_without_depth_and_aligned_with_it() -> None:
    true = pose(MOTION)
    z, z_start = depth(true), depth(START)
    black = torch.zeros_like(z)
    reference = DenseView.from_images(black, z_start, intrinsics()).pyramid(3)
    dark = DenseView.from_images(black, black, intrinsics()).pyramid(3)
    assert not bool(photometric(dark, reference, START).succeeded(LIMITS))
    shaped = DenseView.from_images(black, z, intrinsics()).pyramid(3)
    result = photometric(shaped, reference, START)
    assert error(result.T_reference_camera, true) < 1e-3 and bool(result.succeeded(LIMITS))


@pytest.mark.parametrize("align", ALIGNERS)
def test_noise_of_the_depth_shows_in_the_covariance(align: Aligner) -> None:
    true, generator = pose(MOTION), torch.Generator().manual_seed(1)

    def noisy(T: torch.Tensor, sigma: float) -> list[DenseView]:
        z = depth(T)
        moved = z * (1.0 + sigma * torch.randn(z.shape, generator=generator, dtype=z.dtype))
        return DenseView.from_images(picture(T, z), moved, intrinsics()).pyramid(3)

    spreads = []
    for sigma in (0.002, 0.01):
        result = align(noisy(true, sigma), noisy(START, sigma), START)
        assert error(result.T_reference_camera, true) < 0.02
        spreads.append(float(result.covariance[0].diagonal()[:3].sum()))
    assert spreads[1] > spreads[0]
    covariance = result.covariance[0].numpy()
    assert np.allclose(covariance, covariance.T) and np.linalg.eigvalsh(covariance).min() > 0


def test_the_covariance_is_in_the_frame_of_the_camera() -> None:
    """Before a floor the distance from it is known, and the place on it is not."""
    floor = (((0.0, 1.0, 0.0), 1.5),)
    level = pose((0.0, 0.0, 0.0, -0.8, 0.0, 0.0))
    rolled = level @ pose((0.0, 0.0, 0.0, 0.0, 0.0, 1.2))
    result = icp(view(rolled, floor), view(level, floor), se3.inverse(level) @ rolled)
    down = rolled[0, :3, :3].T[:, 1]
    along = torch.linalg.cross(down, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    moved = result.covariance[0, :3, :3]
    assert float(along @ moved @ along) > 100.0 * float(down @ moved @ down)
