from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.evaluation.trajectory.errors import ate_rmse, trajectory_metrics

Array = npt.NDArray[np.float64]
STAMPS = (np.arange(40) * 33_333_333 + 1_305_031_102_175_304_000).astype(np.int64)


def helix() -> Array:
    poses = np.tile(np.eye(4), (40, 1, 1))
    angle = np.linspace(0, 5, 40)
    poses[:, :3, 3] = np.stack([np.cos(angle), np.sin(angle), 0.2 * angle], axis=1)
    poses[:, :3, :3] = Rotation.from_rotvec(np.outer(angle, [0.1, 0.7, 0.2])).as_matrix()
    return poses


def moved(poses: Array, rotvec: list[float], offset: list[float]) -> Array:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rotvec).as_matrix()
    T[:3, 3] = offset
    return T @ poses


def test_a_known_offset_shows_unaligned_and_vanishes_aligned() -> None:
    metrics = trajectory_metrics(STAMPS, moved(helix(), [0, 0, 0], [0.3, 0.0, 0.4]), helix())
    assert metrics is not None
    assert metrics.ate_unaligned_rmse_m == pytest.approx(0.5)
    assert metrics.ate_rmse_m == pytest.approx(0.0, abs=1e-9)
    assert metrics.pairs == 40


def test_a_rigid_motion_vanishes_aligned_and_a_scale_does_not() -> None:
    truth = helix()
    assert ate_rmse(STAMPS, moved(truth, [0.3, -0.5, 1.0], [4, 5, 6]), truth) == pytest.approx(
        0.0, abs=1e-9
    )
    scaled = truth.copy()
    scaled[:, :3, 3] *= 1.1
    centred = truth[:, :3, 3] - truth[:, :3, 3].mean(axis=0)
    expected = 0.1 * np.sqrt((centred**2).sum(axis=1).mean())
    assert ate_rmse(STAMPS, scaled, truth) == pytest.approx(expected, rel=1e-6)


def test_agrees_with_evo_and_with_the_closed_form_solution_on_noise() -> None:
    from evo.core import metrics as evo_metrics
    from evo.core.trajectory import PoseTrajectory3D

    truth, noisy = helix(), helix()
    noisy[:, :3, 3] += np.random.default_rng(0).normal(0, 0.02, (40, 3))
    reference = PoseTrajectory3D(poses_se3=list(truth), timestamps=STAMPS * 1e-9)
    estimate = PoseTrajectory3D(poses_se3=list(noisy), timestamps=STAMPS * 1e-9)
    estimate.align(reference)
    error = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
    error.process_data((reference, estimate))
    ate = ate_rmse(STAMPS, noisy, truth)
    assert ate == pytest.approx(error.get_statistic(evo_metrics.StatisticsType.rmse))
    a, b = noisy[:, :3, 3], truth[:, :3, 3]
    _, residual = Rotation.align_vectors(b - b.mean(axis=0), a - a.mean(axis=0))
    assert ate == pytest.approx(residual / np.sqrt(40), rel=1e-6)


def test_frames_without_a_true_pose_are_left_out() -> None:
    truth = helix()
    truth[::2] = np.nan
    metrics = trajectory_metrics(STAMPS, helix(), truth)
    assert metrics is not None
    assert metrics.pairs == 20


def test_too_few_pairs_have_no_error() -> None:
    truth = np.full((40, 4, 4), np.nan)
    truth[:2] = helix()[:2]
    assert trajectory_metrics(STAMPS, helix(), truth) is None
    empty = np.zeros((0, 4, 4))
    assert ate_rmse(np.zeros(0, np.int64), empty, empty) is None


@pytest.mark.parametrize("speed", [0.0, 0.1])
def test_a_camera_that_stands_or_moves_on_a_line_has_an_error(speed: float) -> None:
    truth = np.tile(np.eye(4), (40, 1, 1))
    truth[:, 0, 3] = speed * np.arange(40)
    metrics = trajectory_metrics(STAMPS, moved(truth, [0, 0, 0], [1.0, 0.0, 0.0]), truth)
    assert metrics is not None
    assert metrics.ate_rmse_m == pytest.approx(0.0, abs=1e-6)
    assert metrics.ate_unaligned_rmse_m == pytest.approx(1.0)


def test_lengths_must_agree() -> None:
    with pytest.raises(PoseError, match="40 stamps, 39 estimated and 40 true"):
        trajectory_metrics(STAMPS, helix()[1:], helix())
