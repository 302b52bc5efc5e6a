"""The angle by which errors of poses misplace points, against drawn poses."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.misplacement import misplaced_angle

DEPTH_M = 2.5
RAYS = np.array([[x, y, 1.0] for y in (-0.4, 0.0, 0.4) for x in (-0.6, -0.2, 0.2, 0.6)])


def cameras() -> np.ndarray:
    twists = np.array([[0, 0, 0, 0, 0, 0], [0.3, 0, 0.1, 0, 0.1, 0], [0.5, 0.1, 0, 0.05, 0, 0.2]])
    return np.asarray(rigid.exp(twists.astype(float)))


def drawn(covariance: np.ndarray, free: np.ndarray, camera: int, other: int) -> float:
    """Return the root mean square change of x/z and y/z over drawn poses."""
    random, T = np.random.default_rng(0), cameras()
    relative = T[camera] @ rigid.inverse(T[other])
    there = rigid.transform_points(rigid.inverse(relative), DEPTH_M * RAYS)
    changes = []
    for twist in random.multivariate_normal(np.zeros(len(covariance)), covariance, 2000):
        moved = T.copy()
        moved[free] = rigid.exp(twist.reshape(-1, 6)) @ T[free]
        seen = rigid.transform_points(moved[camera] @ rigid.inverse(moved[other]), there)
        changes.append(seen[:, :2] / seen[:, 2:] - RAYS[:, :2])
    return float(np.sqrt(np.mean(np.square(changes))))


@pytest.mark.parametrize("free", [[False, True, True], [True, True, True], [True, False, True]])
def test_it_is_what_drawn_poses_show(free: list[bool]) -> None:
    which = np.array(free)
    root = 1e-3 * np.random.default_rng(1).normal(size=(6 * which.sum(), 6 * which.sum()))
    covariance = root @ root.T
    for other in (0, 1):
        angle = misplaced_angle(cameras(), which, covariance, 2, [other], DEPTH_M)
        assert angle == pytest.approx(drawn(covariance, which, 2, other), rel=0.05)


def test_several_cameras_give_the_root_mean_square() -> None:
    free = np.array([True, True, True])
    covariance = np.diag(np.arange(1.0, 19.0)) * 1e-6
    both = misplaced_angle(cameras(), free, covariance, 2, [0, 1], DEPTH_M)
    each = [misplaced_angle(cameras(), free, covariance, 2, [k], DEPTH_M) for k in (0, 1)]
    assert both == pytest.approx(np.sqrt(np.mean(np.square(each))))


def test_an_error_that_the_whole_window_shares_misplaces_nothing() -> None:
    """All cameras turn and move as one: the same twist of the map, seen from each camera."""
    T, free = cameras(), np.array([True, True, True])
    of_map = rigid.adjoint(T).reshape(-1, 6)
    covariance = of_map @ np.diag([1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5]) @ of_map.T
    assert misplaced_angle(T, free, covariance, 0, [1, 2], DEPTH_M) < 1e-8
