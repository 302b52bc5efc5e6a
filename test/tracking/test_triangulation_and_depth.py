from __future__ import annotations

import numpy as np

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.triangulation import triangulate
from tracking.plane import CAMERA, pose

LENS = Lens(CAMERA)


def test_points_of_two_known_cameras() -> None:
    points = np.random.default_rng(0).uniform((-0.8, -0.6, 2.0), (0.8, 0.6, 4.0), (50, 3))
    second = pose(x=0.4, turn=(0, -5, 0))
    seen = LENS.project(rigid.transform_points(rigid.inverse(second), points))
    found, good = triangulate(LENS.project(points), seen, np.eye(4), second, LENS)
    assert good.all() and np.allclose(found, points, atol=1e-9)


def test_a_turn_alone_says_nothing_of_depth() -> None:
    points = np.random.default_rng(0).uniform((-0.8, -0.6, 2.0), (0.8, 0.6, 4.0), (50, 3))
    second = pose(turn=(0, 8, 0))
    seen = LENS.project(rigid.transform_points(rigid.inverse(second), points))
    _, good = triangulate(LENS.project(points), seen, np.eye(4), second, LENS)
    assert not good.any()


def test_depth_at_an_edge_is_the_nearer_one() -> None:
    values = np.full((240, 320), 3.0, np.float32)
    values[:, 160:] = 1.5
    values[100:140, 20:60] = 0.0
    image = DepthImage(values, CAMERA, 0.01)
    inverse, sigma = image.sample(LENS, np.array([[100.0, 50.0], [159.6, 50.0], [40.0, 120.0]]))
    assert np.isclose(inverse[0], 1 / 3) and np.isclose(sigma[0], 0.03 / 9)
    assert np.isclose(inverse[1], 1 / 1.5) and sigma[1] > 0.3
    assert np.isnan(inverse[2]) and np.isinf(sigma[2])


def test_depth_of_another_size_is_asked_at_the_same_ray() -> None:
    small = CAMERA.resized(160, 120)
    ramp = np.repeat(np.linspace(1.0, 2.0, 160, dtype=np.float32)[None], 120, axis=0)
    inverse, _ = DepthImage(ramp, small, 0.01).sample(LENS, np.array([[159.5, 119.5]]))
    assert np.isclose(1.0 / inverse[0], 1.5, atol=0.01)


def test_pixels_outside_have_no_depth() -> None:
    camera = PinholeCamera(64, 48, 280.0, 280.0, 31.5, 23.5)
    image = DepthImage(np.ones((48, 64), np.float32), camera, 0.01)
    inverse, _ = image.sample(LENS, np.array([[5.0, 5.0], [np.nan, 3.0]]))
    assert np.isnan(inverse).all()
