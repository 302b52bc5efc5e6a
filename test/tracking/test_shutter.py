from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.bundle_problem import BundleProblem
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.shutter import ShutterEstimate

CAMERA = PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5)


def window(readout_s: float, assumed_s: float, speed: float = 1.0, seed: int = 0) -> BundleProblem:
    """Eight images of a camera that turns, with a rolling shutter, and points 0.1 m off."""
    generator = np.random.default_rng(seed)
    points = generator.uniform((-2.0, -1.5, 2.0), (2.0, 1.5, 5.0), (200, 3))
    true, assumed = Lens(CAMERA, readout_s), Lens(CAMERA, assumed_s)
    poses, parts = [], []
    for k in range(8):
        turning = speed * np.array([1.2 * np.sin(0.8 * k), 0.8 * np.cos(0.6 * k), 0.2])
        T = rigid.exp(np.r_[0.05 * k, 0.0, 0.02 * k, 0.1 * turning])
        local = rigid.transform_points(T, points)
        recorded = true.recorded(true.project(local), turning)
        recorded = recorded + generator.normal(0.0, 0.3, recorded.shape)
        seen = np.flatnonzero(true.inside(recorded))
        ideal = assumed.ideal(recorded[seen], turning)
        slope = assumed.row_slope(recorded[seen], ideal, turning)
        parts.append((np.full(len(seen), k), seen, ideal, slope, 1.0 / local[seen, 2]))
        poses.append(T)
    camera, point, ideal, slope, inverse = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return BundleProblem(
        np.stack(poses), np.arange(8) > 0, points + generator.normal(0.0, 0.1, points.shape),
        camera, point, ideal, inverse, np.full(len(point), 0.01),
        true.focal, true.centre, 1.0, slope,
    )  # fmt: skip


@pytest.mark.parametrize("readout_s", [0.0, 0.012, 0.03])
def test_the_readout_time_is_learned(readout_s: float) -> None:
    estimate = ShutterEstimate()
    for seed in range(10):
        solution = adjust(window(readout_s, estimate.readout_s, seed=seed), 10)
        estimate.learn(solution.readout_change_s, solution.readout_sigma_s)
    assert abs(estimate.readout_s - readout_s) < 5e-4


def test_a_camera_that_hardly_turns_teaches_nothing() -> None:
    estimate = ShutterEstimate()
    solution = adjust(window(0.03, 0.0, speed=0.002), 10)
    assert not estimate.learn(solution.readout_change_s, solution.readout_sigma_s)
    assert estimate.readout_s == 0.0
