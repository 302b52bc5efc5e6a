"""Errors and depth of the map on clouds whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from e2e_slam_ros.evaluation.run.map_depth import map_depth
from e2e_slam_ros.evaluation.run.map_fit import map_metrics
from e2e_slam_ros.evaluation.run.map_frame import truth_of_map
from e2e_slam_ros.evaluation.run.summary import TrackedPoses
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

CAMERA = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)


def wall(z: float, towards: float = -1.0) -> SurfelCloud:
    """A dense wall at z whose normals point along `towards` z."""
    x, y = np.meshgrid(np.linspace(-3, 3, 301), np.linspace(-3, 3, 301))
    positions = np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3).astype(np.float32)
    normals = np.zeros_like(positions)
    normals[:, 2] = towards
    colors = np.full(positions.shape, 200, np.uint8)
    return SurfelCloud(positions, normals, colors, np.ones(len(positions), np.float32))


def joined(*clouds: SurfelCloud) -> SurfelCloud:
    return SurfelCloud(
        np.concatenate([c.positions for c in clouds]),
        np.concatenate([c.normals for c in clouds]),
        np.concatenate([c.colors for c in clouds]),
        np.concatenate([c.confidence for c in clouds]),
    )


def at(x: float, y: float, z: float) -> npt.NDArray[np.float64]:
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def test_points_off_the_wall_are_that_far_from_the_map() -> None:
    surfels = wall(2.0).positions
    measured = surfels[::7] + np.float32([0, 0, 0.03])
    metrics = map_metrics([measured], surfels)
    assert metrics is not None
    assert metrics.median_m == pytest.approx(0.03, abs=1e-5)
    assert metrics.points == len(measured)
    assert map_metrics([measured], surfels[:0]) is None
    assert map_metrics([measured[:0]], surfels) is None
    assert map_metrics([], surfels) is None


def test_one_bad_keyframe_shows_as_the_worst_and_not_in_the_median() -> None:
    surfels = wall(2.0).positions
    near, far = surfels + np.float32([0, 0, 0.01]), surfels[::9] + np.float32([0, 0, 0.08])
    metrics = map_metrics([near, far, near[:0]], surfels)
    assert metrics is not None
    assert metrics.median_m == pytest.approx(0.01, abs=1e-5)
    assert metrics.worst_keyframe_m == pytest.approx(0.08, abs=1e-5)


def test_depth_of_a_wall_is_its_distance_and_covers_the_view() -> None:
    depth = map_depth(wall(2.0), CAMERA, at(0.3, -0.1, 0.5))
    assert depth.shape == (48, 64)
    assert depth == pytest.approx(np.full((48, 64), 1.5))


def test_the_nearest_wall_wins_and_the_backs_of_walls_are_not_seen() -> None:
    assert map_depth(joined(wall(2.0), wall(1.0)), CAMERA, at(0, 0, 0)).max() == 1.0
    behind = joined(wall(2.0), wall(1.0, towards=1.0))
    assert map_depth(behind, CAMERA, at(0, 0, 0)) == pytest.approx(np.full((48, 64), 2.0))


def test_nothing_in_view_is_depth_zero() -> None:
    assert not map_depth(wall(2.0), CAMERA, at(0, 0, 3.0)).any()
    empty = SurfelCloud(*(part[:0] for part in vars(wall(2.0)).values()))
    assert not map_depth(empty, CAMERA, at(0, 0, 0)).any()


def test_the_map_of_a_tracked_camera_is_judged_after_alignment_with_scale() -> None:
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    truth = np.tile(np.eye(4), (5, 1, 1))
    truth[:, 0, 3] = np.arange(5.0)  # a straight path: its roll is in the rotations alone
    estimated = truth.copy()
    estimated[:, :3, :3] = turned.T @ truth[:, :3, :3]
    estimated[:, :3, 3] = (truth[:, :3, 3] - 1.0) @ turned / 1.25
    poses = TrackedPoses(np.arange(5), estimated, truth)
    found = truth_of_map(poses, with_scale=True)
    assert found is not None and found.scale == pytest.approx(1.25)
    np.testing.assert_allclose(found.rotation, turned, atol=1e-9)
    np.testing.assert_allclose(found.apply(estimated[:, :3, 3]), truth[:, :3, 3], atol=1e-9)
    rigid = truth_of_map(poses, with_scale=False)
    assert rigid is not None and rigid.scale == 1.0
    assert truth_of_map(TrackedPoses(np.arange(2), estimated[:2], truth[:2]), True) is None
