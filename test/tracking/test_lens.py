from __future__ import annotations

import numpy as np

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.lens import Lens

FR1 = PinholeCamera(
    640, 480, 517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
)
STRAIGHT = FR1.undistorted()
PIXELS = np.random.default_rng(0).uniform((10, 10), (630, 470), (200, 2))


def test_there_and_back_with_distortion() -> None:
    lens = Lens(FR1)
    assert np.abs(lens.recorded(lens.ideal(PIXELS)) - PIXELS).max() < 0.01
    assert np.abs(lens.ideal(PIXELS) - PIXELS).max() > 3.0


def test_pixels_off_the_image_are_not_numbers() -> None:
    assert np.isnan(Lens(FR1).ideal(np.array([[-50.0, 100.0], [100.0, 600.0]]))).all()


def test_points_behind_the_camera_are_not_seen() -> None:
    assert np.isnan(Lens(STRAIGHT).project(np.array([[0.0, 0.0, -1.0]]))).all()


def test_rows_of_a_turning_camera() -> None:
    """A point is recorded where the camera sees it at the time of the row it falls on."""
    lens, turning = Lens(STRAIGHT, readout_s=0.03), np.array([1.5, -0.7, 0.4])
    points = np.random.default_rng(1).uniform((-0.8, -0.6, 2.0), (0.8, 0.6, 3.0), (100, 3))
    ideal = lens.project(points)
    recorded = lens.recorded(ideal, turning)
    for point, pixel in zip(points, recorded, strict=True):
        seconds = 0.03 * ((pixel[1] + 0.5) / 480 - 0.5)
        T = rigid.exp(np.concatenate([np.zeros(3), turning * seconds]))  # T_stamp_row
        seen = lens.project(rigid.transform_points(rigid.inverse(T), point[None]))[0]
        assert np.allclose(seen, pixel, atol=0.05)
    assert np.abs(recorded - ideal).max() > 5.0
    assert np.allclose(lens.ideal(recorded, turning), ideal, atol=0.05)


def test_no_readout_no_change() -> None:
    lens = Lens(STRAIGHT)
    assert np.array_equal(lens.ideal(PIXELS, np.ones(3)), PIXELS)
