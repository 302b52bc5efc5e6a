from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.bundle_problem import BundleProblem
from e2e_slam_ros.tracking.lens import Lens

LENS = Lens(PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5))


def problem(
    noise: float = 0.0, depth: bool = True, seed: int = 0
) -> tuple[BundleProblem, BundleProblem]:
    """Six cameras on an arc and 80 points: the truth, and a disturbed start."""
    generator = np.random.default_rng(seed)
    points = generator.uniform((-1.5, -1.0, 2.5), (1.5, 1.0, 5.0), (80, 3))
    poses = np.stack(
        [
            rigid.exp(np.array([-0.1 * i, 0.02 * i, 0.03 * i, 0.01 * i, 0.03 * i, 0.0]))
            for i in range(6)
        ]
    )
    camera, point = (
        part.ravel() for part in np.meshgrid(np.arange(6), np.arange(80), indexing="ij")
    )
    local = np.stack(
        [
            rigid.transform_points(poses[c], points[p][None])[0]
            for c, p in zip(camera, point, strict=True)
        ]
    )
    pixels = LENS.project(local) + noise * generator.normal(size=(len(local), 2))
    inverse = 1.0 / local[:, 2] if depth else np.full(len(local), np.nan)
    truth = BundleProblem(
        poses, np.arange(6) > (0 if depth else 1), points, camera, point, pixels, inverse,
        np.full(len(local), 0.02 if depth else np.inf), LENS.focal, LENS.centre, 1.0,
    )  # fmt: skip
    moved = poses.copy()
    turn = rigid.exp(generator.normal(0.0, 0.01, (6, 6)))
    moved[truth.free] = (turn @ poses)[truth.free]
    return truth, replace(
        truth, T_camera_map=moved, points=points + generator.normal(0.0, 0.1, points.shape)
    )


@pytest.mark.parametrize("depth", [True, False])
def test_exact_observations_lead_back_to_the_truth(depth: bool) -> None:
    truth, start = problem(depth=depth)
    solution = adjust(start, 30)
    assert solution.cost < 1e-4 * solution.cost_before
    assert np.abs(solution.T_camera_map - truth.T_camera_map).max() < 1e-3
    assert np.abs(solution.points - truth.points).max() < 1e-2
    assert np.array_equal(solution.T_camera_map[0], truth.T_camera_map[0])


def test_the_cost_never_rises() -> None:
    _, start = problem(noise=2.0)
    costs = [adjust(start, n).cost for n in (1, 2, 4, 8)]
    assert all(later <= earlier for earlier, later in zip(costs, costs[1:], strict=False))
    assert costs[0] < adjust(start, 0).cost


def test_a_gross_outlier_hardly_pulls() -> None:
    truth, start = problem(noise=0.3)
    start.pixels[7] += 80.0
    solution = adjust(start, 30)
    assert solution.pixel_error[7] > 50.0
    assert np.abs(solution.T_camera_map - truth.T_camera_map).max() < 5e-3


def half_on_edges(start: BundleProblem) -> tuple[BundleProblem, np.ndarray]:
    """Every second point lies on an edge, and was seen up to 10 pixels off along it."""
    generator = np.random.default_rng(3)
    angle = generator.uniform(0.0, np.pi, len(start.points))[start.point_of]
    across = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    along = np.stack([-across[:, 1], across[:, 0]], axis=1)
    edge = start.point_of % 2 == 0
    split = np.where(edge[:, None, None], np.stack([across, 0.05 * along], axis=1), np.eye(2))
    slid = generator.uniform(-10.0, 10.0, (len(angle), 1)) * along * edge[:, None]
    return replace(start, pixels=start.pixels + slid, whitener=split), split


def test_points_that_slid_along_edges_hardly_pull() -> None:
    truth, start = problem()
    slid, _ = half_on_edges(start)
    error = np.abs(adjust(slid, 30).T_camera_map - truth.T_camera_map).max()
    as_corners = adjust(replace(slid, whitener=None), 30)
    assert error < 4e-3
    assert error < 0.3 * np.abs(as_corners.T_camera_map - truth.T_camera_map).max()


@pytest.mark.parametrize("on_edges", [False, True])
def test_reaches_the_cost_that_gtsam_reaches(on_edges: bool) -> None:
    gtsam = pytest.importorskip("gtsam", reason="GTSAM is the reference; it is not installed")
    _, start = problem(noise=0.7, depth=False)
    split = np.tile(np.eye(2), (len(start.pixels), 1, 1))
    if on_edges:
        start, split = half_on_edges(start)
    calibration = gtsam.Cal3_S2(500.0, 500.0, 0.0, 319.5, 239.5)
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    huber = gtsam.noiseModel.mEstimator.Huber.Create(2.447)
    for c, T in enumerate(start.T_camera_map):
        pose = gtsam.Pose3(rigid.inverse(T))
        values.insert(gtsam.symbol("x", c), pose)
        if not start.free[c]:
            graph.add(gtsam.NonlinearEqualityPose3(gtsam.symbol("x", c), pose))
    for p, point in enumerate(start.points):
        values.insert(gtsam.symbol("l", p), point)
    rows = zip(start.camera_of, start.point_of, start.pixels, split, strict=True)
    for c, p, pixel, information_root in rows:
        robust = gtsam.noiseModel.Robust.Create(
            huber, gtsam.noiseModel.Gaussian.SqrtInformation(information_root)
        )
        graph.add(
            gtsam.GenericProjectionFactorCal3_S2(
                pixel, robust, gtsam.symbol("x", int(c)), gtsam.symbol("l", int(p)), calibration
            )
        )
    reference = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    ours = adjust(start, 50)
    theirs = replace(
        start,
        T_camera_map=rigid.inverse(
            np.stack([reference.atPose3(gtsam.symbol("x", c)).matrix() for c in range(6)])
        ),
        points=np.stack([reference.atPoint3(gtsam.symbol("l", p)) for p in range(80)]),
    )
    assert ours.cost <= adjust(theirs, 0).cost * 1.001
    assert np.abs(ours.T_camera_map - theirs.T_camera_map).max() < 1e-3


def test_half_the_given_depth_costs_as_much_as_twice_the_depth() -> None:
    # An inverse depth would let a point with uncertain depth go to infinity at hardly any cost.
    truth, _ = problem()
    uncertain = replace(truth, inverse_depth_sigma=1.5 * truth.inverse_depth)
    costs = []
    for factor in (0.5, 2.0, 4.0):
        given = replace(
            uncertain,
            inverse_depth=truth.inverse_depth * factor,
            inverse_depth_sigma=uncertain.inverse_depth_sigma * factor,
        )
        costs.append(adjust(given, 0).cost)
    nearer, farther, much_farther = costs
    assert nearer == pytest.approx(farther)
    assert much_farther == pytest.approx(4.0 * farther)
