from __future__ import annotations

import numpy as np

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, find_pose, refine_pose
from e2e_slam_ros.tracking.lens import Lens

LENS = Lens(PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5))
TRUE = rigid.exp(np.array([0.2, -0.1, 0.3, 0.1, -0.2, 0.15]))


def sightings(
    seed: int = 0, noise: float = 0.0, wrong: float = 0.0, depth: bool = False
) -> Sightings:
    generator = np.random.default_rng(seed)
    local = generator.uniform((-1.5, -1.0, 2.0), (1.5, 1.0, 5.0), (200, 3))
    pixels = LENS.project(local) + generator.normal(0.0, 1.0, (200, 2)) * noise
    bad = generator.random(200) < wrong
    pixels[bad] = generator.uniform((0, 0), (640, 480), (int(bad.sum()), 2))
    inverse = 1.0 / local[:, 2] if depth else np.full(200, np.nan)
    sigma = np.full(200, 0.01 if depth else np.inf)
    return Sightings(rigid.transform_points(rigid.inverse(TRUE), local), pixels, inverse, sigma)


def error(T: np.ndarray) -> np.ndarray:
    return rigid.log(T @ rigid.inverse(TRUE))


def test_exact_sightings_give_the_exact_pose() -> None:
    for depth in (False, True):
        pose = refine_pose(sightings(depth=depth), LENS, np.eye(4), 1.0, 64.0)
        assert np.abs(error(pose.T_camera_map)).max() < 1e-6
        assert pose.inliers.all()


def test_a_third_of_outliers() -> None:
    seen = sightings(noise=0.5, wrong=0.35)
    near = rigid.exp(np.array([0.02, -0.02, 0.03, 0.01, -0.01, 0.01])) @ TRUE
    for pose in (refine_pose(seen, LENS, near, 0.5), find_pose(seen, LENS, 0.5)):
        assert pose is not None
        assert np.abs(error(pose.T_camera_map)).max() < 0.01
        assert 0.55 < pose.inliers.mean() < 0.75


def test_the_covariance_is_that_of_many_tries() -> None:
    errors, said = [], []
    for seed in range(60):
        pose = refine_pose(sightings(0, 0.0), LENS, TRUE, 0.7)
        seen = sightings(0)
        noise = np.random.default_rng(100 + seed).normal(0.0, 0.7, seen.pixels.shape)
        noisy = Sightings(
            seen.points, seen.pixels + noise, seen.inverse_depth, seen.inverse_depth_sigma
        )
        pose = refine_pose(noisy, LENS, TRUE, 0.7)
        errors.append(error(pose.T_camera_map))
        said.append(np.sqrt(np.diag(pose.covariance)))
    ratio = np.std(errors, axis=0) / np.mean(said, axis=0)
    assert (ratio > 0.6).all() and (ratio < 1.6).all()


def test_nothing_fits_nonsense() -> None:
    assert find_pose(sightings(wrong=0.0).chosen(np.arange(200) < 4), LENS, 1.0) is None
    nonsense = find_pose(sightings(wrong=1.0), LENS, 1.0)
    assert nonsense is None or nonsense.inliers.sum() < 15


def test_the_same_twice() -> None:
    seen = sightings(noise=1.0, wrong=0.5)
    first, second = find_pose(seen, LENS, 1.0), find_pose(seen, LENS, 1.0)
    assert first is not None and second is not None
    assert np.array_equal(first.T_camera_map, second.T_camera_map)


def test_pixels_that_are_no_numbers_do_not_pull() -> None:
    seen = sightings()
    seen.pixels[:30] = np.nan
    pose = refine_pose(seen, LENS, np.eye(4), 1.0, 64.0)
    assert np.abs(error(pose.T_camera_map)).max() < 1e-6
    assert pose.inliers.sum() == 170


def test_landmarks_that_all_lie_behind_give_no_pose_and_no_error() -> None:
    seen = sightings()
    away = rigid.exp(np.array([0.0, 0.0, -20.0, 0.0, 0.0, 0.0])) @ TRUE
    pose = refine_pose(seen, LENS, away, 0.7)
    assert np.isfinite(pose.T_camera_map).all() and not pose.inliers.any()
