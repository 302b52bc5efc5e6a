"""ATE, RPE and drift: closed forms, comparison with evo, and input that has no error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.evaluation.trajectory.errors import (
    ate_rmse,
    drift_percent,
    rpe,
    trajectory_metrics,
)

Array = npt.NDArray[np.float64]


def helix() -> Array:
    poses = np.tile(np.eye(4), (40, 1, 1))
    angle = np.linspace(0, 5, 40)
    poses[:, :3, 3] = np.stack([np.cos(angle), np.sin(angle), 0.2 * angle], axis=1)
    poses[:, :3, :3] = Rotation.from_rotvec(np.outer(angle, [0.1, 0.7, 0.2])).as_matrix()
    return poses


def straight(speed: float, count: int = 40) -> Array:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = speed * np.arange(count)
    return poses


def moved(poses: Array, rotvec: list[float], offset: list[float]) -> Array:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rotvec).as_matrix()
    T[:3, 3] = offset
    return T @ poses


def noisy(poses: Array, seed: int) -> Array:
    """Independent errors of 2 cm and about 1 degree on every pose."""
    dice = np.random.default_rng(seed)
    errors = np.tile(np.eye(4), (len(poses), 1, 1))
    errors[:, :3, 3] = dice.normal(0.0, 0.02, (len(poses), 3))
    turns = dice.normal(0.0, 0.02, (len(poses), 3))
    errors[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    return poses @ errors


def real_poses(shared_data: Path) -> Array:
    folder = shared_data / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt"
    return read_tum_trajectory(folder / "groundtruth.txt").poses[:400]


def evo_ate(estimated: Array, true: Array, with_scale: bool) -> float:
    metrics = pytest.importorskip("evo.core.metrics")
    trajectory = pytest.importorskip("evo.core.trajectory")
    real = trajectory.PosePath3D(poses_se3=list(true))
    guess = trajectory.PosePath3D(poses_se3=[pose.copy() for pose in estimated])
    guess.align(real, correct_scale=with_scale)
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data((real, guess))
    return float(error.get_statistic(metrics.StatisticsType.rmse))


def evo_rpe(estimated: Array, true: Array, delta: int, relation: str) -> float:
    metrics = pytest.importorskip("evo.core.metrics")
    trajectory = pytest.importorskip("evo.core.trajectory")
    error = metrics.RPE(getattr(metrics.PoseRelation, relation), delta=delta, all_pairs=True)
    error.process_data(
        tuple(trajectory.PosePath3D(poses_se3=list(poses)) for poses in (true, estimated))
    )
    return float(error.get_statistic(metrics.StatisticsType.rmse))


def test_a_known_offset_shows_unaligned_and_vanishes_aligned() -> None:
    metrics = trajectory_metrics(moved(helix(), [0, 0, 0], [0.3, 0.0, 0.4]), helix())
    assert metrics is not None
    assert metrics.ate_unaligned_rmse_m == pytest.approx(0.5)
    assert metrics.ate_rmse_m == pytest.approx(0.0, abs=1e-9)
    assert metrics.pairs == 40


def test_a_rigid_motion_vanishes_aligned_and_a_scale_does_not() -> None:
    truth = helix()
    assert ate_rmse(moved(truth, [0.3, -0.5, 1.0], [4, 5, 6]), truth) == pytest.approx(
        0.0, abs=1e-9
    )
    scaled = truth.copy()
    scaled[:, :3, 3] *= 1.1
    centred = truth[:, :3, 3] - truth[:, :3, 3].mean(axis=0)
    expected = 0.1 * np.sqrt((centred**2).sum(axis=1).mean())
    assert ate_rmse(scaled, truth) == pytest.approx(expected, rel=1e-6)
    assert ate_rmse(scaled, truth, with_scale=True) == pytest.approx(0.0, abs=1e-9)


def test_ate_is_the_residual_of_the_closed_form_rotation() -> None:
    truth, estimate = helix(), noisy(helix(), 0)
    a, b = estimate[:, :3, 3], truth[:, :3, 3]
    _, residual = Rotation.align_vectors(b - b.mean(axis=0), a - a.mean(axis=0))
    assert ate_rmse(estimate, truth) == pytest.approx(residual / np.sqrt(40), rel=1e-6)


@pytest.mark.parametrize("with_scale", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_ate_agrees_with_evo(seed: int, with_scale: bool, shared_data: Path) -> None:
    for truth in (helix(), real_poses(shared_data)):
        estimate = moved(noisy(truth, seed), [0.2, 0.3, -1.0], [1.0, 2.0, 3.0])
        estimate[:, :3, 3] *= 0.8
        expected = evo_ate(estimate, truth, with_scale)
        assert ate_rmse(estimate, truth, with_scale) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("delta", [1, 7])
@pytest.mark.parametrize("seed", range(3))
def test_rpe_agrees_with_evo(seed: int, delta: int, shared_data: Path) -> None:
    for truth in (helix(), real_poses(shared_data)):
        estimate = noisy(truth, seed)
        found = rpe(estimate, truth, delta)
        assert found is not None and found.pairs == len(truth) - delta
        translation = evo_rpe(estimate, truth, delta, "translation_part")
        assert found.translation_rmse_m == pytest.approx(translation, rel=1e-6)
        rotation = evo_rpe(estimate, truth, delta, "rotation_angle_deg")
        assert found.rotation_rmse_deg == pytest.approx(rotation, rel=1e-4)


def test_rpe_of_a_steady_turn_is_that_turn() -> None:
    estimate = straight(0.1)
    angles = np.radians(2.0) * np.arange(40)
    estimate[:, :3, :3] = Rotation.from_rotvec(np.outer(angles, [1.0, 0.0, 0.0])).as_matrix()
    found = rpe(estimate, straight(0.1), delta=5)
    assert found is not None
    assert found.rotation_rmse_deg == pytest.approx(10.0)
    assert found.translation_rmse_m == pytest.approx(0.0, abs=1e-12)


def test_rpe_does_not_depend_on_the_map_frame() -> None:
    estimate = noisy(helix(), 1)
    there = rpe(moved(estimate, [1.0, 2.0, 0.5], [9, 9, 9]), helix())
    here = rpe(estimate, helix())
    assert here is not None and there is not None
    assert there.translation_rmse_m == pytest.approx(here.translation_rmse_m)


def test_rpe_leaves_out_motions_across_a_gap() -> None:
    estimate = straight(0.1)
    estimate[10:, 0, 3] += 5.0
    missing = estimate.copy()
    missing[10] = np.nan
    jump, gap = rpe(estimate, straight(0.1)), rpe(missing, straight(0.1))
    assert jump is not None and jump.translation_rmse_m > 0.5
    assert gap is not None and gap.pairs == 37
    assert gap.translation_rmse_m == pytest.approx(0.0, abs=1e-12)


def test_drift_is_a_share_of_the_path() -> None:
    assert drift_percent(straight(0.102), straight(0.1)) == pytest.approx(2.0)
    assert drift_percent(straight(0.102), straight(0.1), segment_m=1.0) == pytest.approx(2.0)
    there_and_back = straight(0.1)
    there_and_back[20:, 0, 3] = there_and_back[19::-1, 0, 3]
    closed = moved(there_and_back, [0, 0, 0], [0, 0, 0])
    closed[-1, 1, 3] += 0.038
    assert drift_percent(closed, there_and_back) == pytest.approx(1.0, rel=1e-6)


def test_drift_of_segments_is_measured_from_each_start() -> None:
    """A heading error bends the path: short segments drift less than long ones."""
    truth = straight(0.1)
    turns = Rotation.from_rotvec(np.outer(np.linspace(0, 0.4, 40), [0, 0, 1])).as_matrix()
    estimate = truth.copy()
    estimate[:, :3, :3] = turns
    steps = 0.1 * turns[:-1, :, 0]
    estimate[1:, :3, 3] = steps.cumsum(axis=0)
    short, whole = drift_percent(estimate, truth, 0.5), drift_percent(estimate, truth)
    assert short is not None and whole is not None and 0.0 < short < 0.3 * whole


@pytest.mark.parametrize("segment_m", [None, 1.0])
def test_a_camera_without_path_has_no_drift(segment_m: float | None) -> None:
    assert drift_percent(straight(0.0), straight(0.0), segment_m) is None
    assert drift_percent(straight(0.1, 1), straight(0.1, 1), segment_m) is None
    assert drift_percent(straight(0.1, 0), straight(0.1, 0), segment_m) is None
    assert drift_percent(straight(0.1, 5), straight(0.1, 5), 2.0) is None


def test_frames_without_a_true_pose_are_left_out() -> None:
    truth = helix()
    truth[::2] = np.nan
    metrics = trajectory_metrics(helix(), truth)
    assert metrics is not None
    assert metrics.pairs == 20


def test_too_few_pairs_have_no_error() -> None:
    truth = np.full((40, 4, 4), np.nan)
    truth[:2] = helix()[:2]
    assert trajectory_metrics(helix(), truth) is None
    empty = np.zeros((0, 4, 4))
    assert ate_rmse(empty, empty) is None
    assert rpe(empty, empty) is None
    assert rpe(helix()[:3], helix()[:3], delta=3) is None


@pytest.mark.parametrize("speed", [0.0, 0.1])
@pytest.mark.parametrize("with_scale", [False, True])
def test_a_camera_that_stands_or_moves_on_a_line_has_an_error(
    speed: float, with_scale: bool
) -> None:
    truth = straight(speed)
    metrics = trajectory_metrics(moved(truth, [0, 0, 0], [1.0, 0.0, 0.0]), truth)
    assert metrics is not None
    assert metrics.ate_rmse_m == pytest.approx(0.0, abs=1e-6)
    assert metrics.ate_unaligned_rmse_m == pytest.approx(1.0)
    turned = moved(truth, [0.0, 0.0, 1.0], [3.0, 0.0, 1.0])
    assert ate_rmse(turned, truth, with_scale) == pytest.approx(0.0, abs=1e-6)


def test_input_that_does_not_belong_together_is_refused() -> None:
    for error in (trajectory_metrics, ate_rmse, rpe, drift_percent):
        with pytest.raises(PoseError, match="39 estimated and 40 true"):
            error(helix()[1:], helix())
    with pytest.raises(PoseError, match="0 frames"):
        rpe(helix(), helix(), delta=0)
