"""Given poses in bundle adjustment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.bundle_problem import shapes_alone
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.pose_priors import PosePriors
from tracking.test_bundle import problem

SIGMA = np.full(6, 0.02)


def random_poses(count: int, spread: float = 0.3) -> np.ndarray:
    return rigid.exp(np.random.default_rng(1).normal(0.0, spread, (count, 6)))


def test_normal_equations_are_the_derivative_of_the_cost() -> None:
    truth, given = random_poses(3), random_poses(3, 0.31)
    priors = PosePriors.none().with_pose(2, given[2], np.full(6, 0.5))
    priors = priors.with_motion(0, 1, given[0] @ rigid.inverse(given[1]), np.full(6, 0.5))
    priors = priors.with_motion(1, 2, given[1] @ rigid.inverse(given[2]), np.full(6, 0.5))
    free = np.array([False, True, True])
    _, gradient = priors.normal_equations(truth, free)
    numeric = np.zeros(12)
    for i in range(12):
        step = np.zeros((3, 6))
        step[1 + i // 6, i % 6] = 1e-6
        up = priors.cost(rigid.exp(step) @ truth)
        numeric[i] = (up - priors.cost(rigid.exp(-step) @ truth)) / 2e-6
    # The cost is twice what Gauss-Newton calls it; the residuals here are small enough.
    np.testing.assert_allclose(2.0 * gradient, numeric, rtol=0.05, atol=0.02)


def test_priors_give_a_metre_to_images_that_have_none() -> None:
    truth, start = problem(depth=False)
    # Everything 20 % too large: images alone do not mind.
    large = start.T_camera_map.copy()
    large[:, :3, 3] = 1.2 * truth.T_camera_map[:, :3, 3]
    free = np.arange(6) > 0
    priors = PosePriors.none()
    for camera in range(1, 6):
        priors = priors.with_pose(camera, truth.T_camera_map[camera], SIGMA)
    wrong = replace(truth, T_camera_map=large, points=1.2 * truth.points, free=free)
    solution = adjust(replace(wrong, priors=priors), 30)
    assert np.abs(solution.T_camera_map - truth.T_camera_map).max() < 2e-3
    assert np.abs(adjust(wrong, 30).points - truth.points).max() > 0.3


def test_one_pose_far_off_does_little_harm() -> None:
    truth, start = problem(noise=0.3)
    priors = PosePriors.none()
    for camera in range(1, 6):
        priors = priors.with_pose(camera, truth.T_camera_map[camera], SIGMA)
    aside = truth.T_camera_map[3].copy()
    aside[0, 3] += 1.0
    solution = adjust(replace(start, priors=priors.with_pose(3, aside, SIGMA)), 30)
    moved = np.linalg.norm(solution.T_camera_map[3, :3, 3] - truth.T_camera_map[3, :3, 3])
    assert moved < 0.01


def test_drifting_motions_do_no_harm() -> None:
    """Each motion is 3 % too long, as a wheel's that is too large: images hold against it."""
    truth, start = problem(noise=0.3)
    priors = PosePriors.none()
    for camera in range(5):
        motion = truth.T_camera_map[camera] @ rigid.inverse(truth.T_camera_map[camera + 1])
        motion[:3, 3] *= 1.03
        priors = priors.with_motion(camera, camera + 1, motion, SIGMA)
    held, alone = adjust(replace(start, priors=priors), 30), adjust(start, 30)

    def error(T: np.ndarray) -> float:
        return float(np.linalg.norm((T - truth.T_camera_map)[:, :3, 3], axis=1).max())

    assert error(held.T_camera_map) < error(alone.T_camera_map) + 0.002


def test_uncertainty_of_poses_falls_with_better_corners() -> None:
    _, start = problem(noise=0.3)
    fine = adjust(replace(start, pixel_sigma=0.3), 20).pose_covariance.diagonal()
    coarse = adjust(replace(start, pixel_sigma=3.0), 20).pose_covariance.diagonal()
    assert len(fine) == 6 * int(start.free.sum())
    assert (fine > 0.0).all() and (coarse > 9.0 * fine).all()


def test_a_networks_common_error_is_no_measurement_beside_given_poses() -> None:
    truth, _ = problem()
    far = replace(
        truth,
        inverse_depth=truth.inverse_depth / 1.3,
        inverse_depth_sigma=0.6 * truth.inverse_depth,
    )
    held = np.arange(6) != 2
    shaped = shapes_alone(far, held)
    other = truth.camera_of == 2
    np.testing.assert_allclose(shaped.inverse_depth[~other], truth.inverse_depth[~other])
    np.testing.assert_array_equal(shaped.inverse_depth[other], far.inverse_depth[other])
    # Measured depth keeps its metre.
    sure = replace(far, inverse_depth_sigma=0.01 * truth.inverse_depth)
    assert shapes_alone(sure, held).inverse_depth.tolist() == sure.inverse_depth.tolist()


def test_the_metre_is_named_by_its_best_source() -> None:
    scale = MapScale("auto")
    scale.network_ratio(1.1)
    assert scale.source == "network" and scale.follows_network
    for _ in range(100):
        scale.network_ratio(1.0)
    assert scale.sigma > 0.05  # images agree, but they share the network's own error
    for given in (0.2, 0.21, 0.19, 0.2):
        scale.given_motion(given, 0.2, sigma_m=0.02)
    scale.given_motion(0.01, 0.02, sigma_m=0.02)  # too short to tell
    assert scale.source == "poses" and 0.0 < scale.sigma < 0.05
    assert not scale.follows_network
    scale.measured()
    scale.given_motion(0.2, 0.2, sigma_m=0.02)
    assert (scale.source, scale.sigma) == ("depth_topic", 0.01)
    free = MapScale("free")
    free.network_ratio(1.0)
    assert (free.source, free.sigma, free.follows_network) == ("free", np.inf, False)
