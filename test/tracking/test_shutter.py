from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, refine_pose
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.shutter import ShutterEstimate

CAMERA = PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5)


@pytest.mark.parametrize("readout_s", [0.0, 0.012, 0.03])
def test_the_readout_time_is_learned(readout_s: float) -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform((-2.0, -1.5, 2.0), (2.0, 1.5, 5.0), (300, 3))
    estimate, camera = ShutterEstimate(), Lens(CAMERA, readout_s)
    for frame in range(40):
        turning = np.array([1.2 * np.sin(0.4 * frame), 0.8 * np.cos(0.3 * frame), 0.2])
        T = rigid.exp(np.r_[0.05 * np.sin(0.1 * frame), 0.0, 0.0, 0.1 * turning])
        ideal = camera.project(rigid.transform_points(T, points))
        recorded = camera.recorded(ideal, turning) + generator.normal(0.0, 0.3, ideal.shape)
        inside = camera.inside(recorded)
        assumed = Lens(CAMERA, estimate.readout_s)
        nothing = np.full(int(inside.sum()), np.nan)
        seen = Sightings(points[inside], assumed.ideal(recorded[inside], turning), nothing, nothing)
        pose = refine_pose(seen, assumed, T, 1.0)
        estimate.learn(points[inside], recorded[inside], turning, pose.T_camera_map, assumed, 1.0)
    assert abs(estimate.readout_s - readout_s) < 1e-3


def test_a_camera_that_stands_teaches_nothing() -> None:
    estimate, lens = ShutterEstimate(), Lens(CAMERA)
    points = np.random.default_rng(0).uniform((-1, -1, 2), (1, 1, 4), (100, 3))
    for _ in range(50):
        assert not estimate.learn(
            points, lens.project(points) + 0.5, np.full(3, 0.01), np.eye(4), lens, 1.0
        )
    assert estimate.readout_s == 0.0
