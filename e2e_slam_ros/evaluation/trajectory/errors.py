"""Errors of a camera trajectory: ATE and RPE (Sturm et al. 2012), and drift.

In every function ``estimated`` and ``true`` are (N, 4, 4) camera-to-map poses in metres that
belong together. A pose with a value that is not finite is missing, and its pair is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama

Array = npt.NDArray[np.float64]

# Fewer positions have no meaningful alignment.
_FEWEST_POSES = 3


@dataclass(frozen=True)
class TrajectoryMetrics:
    """Distance of the estimated camera positions from the true ones.

    Attributes:
        ate_rmse_m: root mean square of the position errors after rigid alignment, metres.
        ate_unaligned_rmse_m: the same without alignment, metres.
        pairs: number of poses compared.
        ate_sim3_rmse_m: the error after alignment with a similarity, metres.
        scale: true metres per estimated metre, of that similarity; 1 is right.

    Example:
        >>> true = np.tile(np.eye(4), (3, 1, 1))
        >>> true[:, 0, 3] = 0.0, 1.0, 2.0
        >>> shifted = true.copy()
        >>> shifted[:, 1, 3] += 0.5
        >>> metrics = trajectory_metrics(shifted, true)
        >>> round(metrics.ate_rmse_m, 6), metrics.ate_unaligned_rmse_m, metrics.pairs
        (0.0, 0.5, 3)
        >>> round(metrics.scale, 6)
        1.0
    """

    ate_rmse_m: float
    ate_unaligned_rmse_m: float
    pairs: int
    ate_sim3_rmse_m: float
    scale: float


@dataclass(frozen=True)
class RelativePoseError:
    """Error of the motion between two poses.

    Attributes:
        translation_rmse_m: root mean square of the translation errors, metres.
        rotation_rmse_deg: root mean square of the rotation errors, degrees.
        pairs: number of motions compared.

    >>> still = np.tile(np.eye(4), (3, 1, 1))
    >>> rpe(still, still)
    RelativePoseError(translation_rmse_m=0.0, rotation_rmse_deg=0.0, pairs=2)
    """

    translation_rmse_m: float
    rotation_rmse_deg: float
    pairs: int


def trajectory_metrics(estimated: Array, true: Array) -> TrajectoryMetrics | None:
    """Return the position errors with and without alignment; None with fewer than 3 pairs.

    Raises:
        PoseError: the numbers of poses differ.
    """
    guess, real = _known_pairs(estimated, true)
    ate = ate_rmse(guess, real)
    if ate is None:
        return None
    positions, true_positions = guess[:, :3, 3], real[:, :3, 3]
    similarity = umeyama(positions, true_positions, with_scale=True)
    return TrajectoryMetrics(
        ate_rmse_m=ate,
        ate_unaligned_rmse_m=_rmse(positions - true_positions),
        pairs=len(guess),
        ate_sim3_rmse_m=_rmse(similarity.apply(positions) - true_positions),
        scale=similarity.scale,
    )


def ate_rmse(estimated: Array, true: Array, with_scale: bool = False) -> float | None:
    """Return the absolute trajectory error in metres; None with fewer than 3 pairs.

    The root mean square distance of positions after least-squares alignment of the estimate to
    the truth (J. Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS
    2012, section IV-B). A camera that stands or moves on a line has a defined error: see
    `umeyama`.

    Args:
        estimated, true: see the module.
        with_scale: align with a similarity instead of a rigid motion, for monocular systems.

    Raises:
        PoseError: the numbers of poses differ.
    """
    guess, real = _known_pairs(estimated, true)
    if len(guess) < _FEWEST_POSES:
        return None
    positions, true_positions = guess[:, :3, 3], real[:, :3, 3]
    aligned = umeyama(positions, true_positions, with_scale).apply(positions)
    return _rmse(aligned - true_positions)


def rpe(estimated: Array, true: Array, delta: int = 1) -> RelativePoseError | None:
    """Return the relative pose error over ``delta`` frames; None where no motion is known.

    With the motions ``A = true[i]^-1 true[i+delta]`` and ``B`` of the estimate alike, the error
    is ``A^-1 B`` (Sturm et al. 2012, equation 1), for every i.

    Args:
        estimated, true: see the module.
        delta: number of frames from start to end of a motion, at least 1.

    Raises:
        PoseError: the numbers of poses differ, or ``delta`` is below 1.
    """
    if delta < 1:
        raise PoseError.from_parts(
            "RPE interval", f"{delta} frames", "1 or more", "compare poses at different times"
        )
    guess, real = _pairs(estimated, true)
    known = _is_known(guess, real)
    starts = np.flatnonzero(known[:-delta] & known[delta:])
    if len(starts) == 0:
        return None
    ends = starts + delta
    error = np.linalg.inv(_between(real, starts, ends)) @ _between(guess, starts, ends)
    return RelativePoseError(
        translation_rmse_m=_rmse(error[:, :3, 3]),
        rotation_rmse_deg=float(np.degrees(np.sqrt((_angles(error) ** 2).mean()))),
        pairs=len(starts),
    )


def drift_percent(estimated: Array, true: Array, segment_m: float | None = None) -> float | None:
    """Return the translation error in per cent of the distance travelled.

    The mean over all segments of the true path that are ``segment_m`` long, each from one pose
    to the first that is so far along the path (A. Geiger et al., "Are we ready for autonomous
    driving?", CVPR 2012). Without ``segment_m``, the one segment is the whole path.

    Returns:
        Per cent; None where the true path is shorter than a segment, or has no length.

    Raises:
        PoseError: the numbers of poses differ.
    """
    guess, real = _known_pairs(estimated, true)
    if len(guess) < 2:
        return None
    steps = np.linalg.norm(np.diff(real[:, :3, 3], axis=0), axis=1)
    travelled = np.concatenate([[0.0], steps.cumsum()])
    if segment_m is None:
        starts, ends = np.array([0]), np.array([len(guess) - 1])
    else:
        starts = np.arange(len(guess))
        ends = np.searchsorted(travelled, travelled + segment_m)
        starts, ends = starts[ends < len(guess)], ends[ends < len(guess)]
    lengths = travelled[ends] - travelled[starts]
    if len(starts) == 0 or float(lengths.min()) <= 0.0:
        return None
    wrong = _between(real, starts, ends)[:, :3, 3] - _between(guess, starts, ends)[:, :3, 3]
    return float((np.linalg.norm(wrong, axis=1) / lengths).mean() * 100.0)


def _between(poses: Array, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Array:
    """Return (M, 4, 4) motions from start to end poses, in the start's frame."""
    motions: Array = np.linalg.inv(poses[starts]) @ poses[ends]
    return motions


def _angles(motions: Array) -> Array:
    """Return (M,) rotation angles, radians; exact also for angles near 0 and 180 degrees."""
    R = motions[:, :3, :3]
    axis = np.stack(
        [R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=1
    )
    trace = np.trace(R, axis1=1, axis2=2)
    angles: Array = np.arctan2(np.linalg.norm(axis, axis=1), trace - 1.0)
    return angles


def _rmse(errors: Array) -> float:
    return float(np.sqrt((errors**2).sum(axis=1).mean()))


def _pairs(estimated: Array, true: Array) -> tuple[Array, Array]:
    guess = np.asarray(estimated, dtype=np.float64).reshape(-1, 4, 4)
    real = np.asarray(true, dtype=np.float64).reshape(-1, 4, 4)
    if len(guess) != len(real):
        raise PoseError.from_parts(
            "trajectories to compare",
            f"{len(guess)} estimated and {len(real)} true poses",
            "as many of each",
            "associate them first",
        )
    return guess, real


def _is_known(guess: Array, real: Array) -> npt.NDArray[np.bool_]:
    # A sum is finite where all its parts are; huge values that overflow count as missing too.
    return np.isfinite((np.abs(guess) + np.abs(real)).sum(axis=(1, 2)))


def _known_pairs(estimated: Array, true: Array) -> tuple[Array, Array]:
    guess, real = _pairs(estimated, true)
    known = _is_known(guess, real)
    return guess[known], real[known]
