"""Absolute trajectory error, computed by the evo library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import PoseError

# Fewer poses than this have no meaningful rigid alignment.
_FEWEST_POSES = 3


@dataclass(frozen=True)
class TrajectoryMetrics:
    """How far the estimated camera positions are from the truth.

    Attributes:
        ate_rmse_m: RMSE of positions after rigid (SE(3), no scale) alignment of the estimate
            to the truth, the number of the TUM benchmark (Sturm et al. 2012), metres.
        ate_unaligned_rmse_m: the same without any alignment, metres.
        pairs: poses compared.
    """

    ate_rmse_m: float
    ate_unaligned_rmse_m: float
    pairs: int


def ate_rmse(
    stamps_ns: npt.NDArray[np.int64],
    estimated: npt.NDArray[np.float64],
    truth: npt.NDArray[np.float64],
) -> float | None:
    """Return the aligned absolute trajectory error in metres; see `trajectory_metrics`."""
    metrics = trajectory_metrics(stamps_ns, estimated, truth)
    return None if metrics is None else metrics.ate_rmse_m


def trajectory_metrics(
    stamps_ns: npt.NDArray[np.int64],
    estimated: npt.NDArray[np.float64],
    truth: npt.NDArray[np.float64],
) -> TrajectoryMetrics | None:
    """Compare camera trajectories pose by pose.

    Args:
        stamps_ns: (N,) times in nanoseconds, shared by both.
        estimated, truth: (N, 4, 4) camera-to-map poses. A pose that is not finite is missing,
            and its pair is left out.

    Returns:
        The metrics, or None when fewer than 3 pairs remain.

    Raises:
        PoseError: the lengths differ.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    guess = np.asarray(estimated, dtype=np.float64).reshape(-1, 4, 4)
    real = np.asarray(truth, dtype=np.float64).reshape(-1, 4, 4)
    if not len(stamps) == len(guess) == len(real):
        raise PoseError.from_parts(
            "trajectories to compare",
            f"{len(stamps)} stamps, {len(guess)} estimated and {len(real)} true poses",
            "as many of each",
            "associate them first",
        )
    paired = np.isfinite(guess).all(axis=(1, 2)) & np.isfinite(real).all(axis=(1, 2))
    if int(paired.sum()) < _FEWEST_POSES:
        return None
    order = np.argsort(stamps[paired], kind="stable")
    seconds = stamps[paired][order].astype(np.float64) * 1e-9
    return _evo_metrics(seconds, guess[paired][order], real[paired][order])


def _evo_metrics(
    seconds: npt.NDArray[np.float64],
    guess: npt.NDArray[np.float64],
    real: npt.NDArray[np.float64],
) -> TrajectoryMetrics:
    # Imported here: evo pulls in pandas and matplotlib, seconds that other commands need not wait.
    from evo.core.geometry import GeometryException
    from evo.core.trajectory import PoseTrajectory3D

    reference = PoseTrajectory3D(poses_se3=list(real), timestamps=seconds)
    unaligned = PoseTrajectory3D(poses_se3=list(guess), timestamps=seconds)
    aligned = PoseTrajectory3D(poses_se3=[pose.copy() for pose in guess], timestamps=seconds)
    try:
        aligned.align(reference, correct_scale=False)
    except GeometryException:
        # A camera that only turns, or moves on a line, leaves the rigid alignment undetermined:
        # the first poses are laid on each other instead.
        aligned = PoseTrajectory3D(poses_se3=[pose.copy() for pose in guess], timestamps=seconds)
        aligned.align_origin(reference)
    return TrajectoryMetrics(
        ate_rmse_m=_position_rmse(reference, aligned),
        ate_unaligned_rmse_m=_position_rmse(reference, unaligned),
        pairs=len(seconds),
    )


def _position_rmse(reference: object, estimate: object) -> float:
    from evo.core.metrics import APE, PoseRelation, StatisticsType

    error = APE(PoseRelation.translation_part)
    error.process_data((reference, estimate))
    return float(error.get_statistic(StatisticsType.rmse))
