"""The motion from the frame of a map to the frame of the recorded poses.

A map made with ``pose.source: visual`` begins at its first camera. A later run in the same map is
compared with its own recorded poses through the relation that the first run left beside the map.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.run.summary import TrackedPoses
from e2e_slam_ros.evaluation.trajectory.alignment import Similarity, umeyama

Matrix = npt.NDArray[np.float64]
_FEWEST = 3
# The file of a run that has the relation; it lies beside the map.
_METRICS_FILE = "metrics.json"


def map_frame(poses: TrackedPoses) -> Matrix | None:
    """Return T_truth_map (4, 4), the rigid motion that fits a run's poses to the true ones.

    Each pose counts by its position and by the ends of its three axes of 1 m, so that a straight
    path has one answer too. None with fewer than three pairs.
    """
    known = np.isfinite(poses.truth).all((1, 2))
    if known.sum() < _FEWEST:
        return None
    estimated, truth = _ends(poses.estimated[known]), _ends(poses.truth[known])
    found = umeyama(estimated, truth, with_scale=False)
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = found.rotation, found.translation
    return result


def truth_of_map(poses: TrackedPoses, with_scale: bool) -> Similarity | None:
    """Return the similarity from the map to the frame of the true poses.

    Without ``with_scale`` it is a rigid motion. Its rotation is that of `map_frame`, so a straight
    path has one answer too.
    """
    T_truth_map = map_frame(poses)
    if T_truth_map is None:
        return None
    known = np.isfinite(poses.truth).all((1, 2))
    estimated, truth = poses.estimated[known, :3, 3], poses.truth[known, :3, 3]
    scale = umeyama(estimated, truth, with_scale=True).scale if with_scale else 1.0
    if not np.isfinite(scale) or scale <= 0.0:
        scale = 1.0
    rotation = T_truth_map[:3, :3]
    return Similarity(scale, rotation, truth.mean(0) - scale * rotation @ estimated.mean(0))


def _ends(poses: Matrix) -> Matrix:
    """Return the positions and the ends of the axes of poses (N, 4, 4) as (4 N, 3) points."""
    positions = poses[:, :3, 3]
    axes = positions[:, None] + np.swapaxes(poses[:, :3, :3], 1, 2)
    return np.concatenate([positions, axes.reshape(-1, 3)])


def map_frame_ate(poses: TrackedPoses, T_truth_map: Matrix | None) -> float | None:
    """Return the RMSE of positions that are only moved by ``T_truth_map``, metres."""
    known = np.isfinite(poses.truth).all((1, 2))
    if T_truth_map is None or not known.any():
        return None
    moved = poses.estimated[known, :3, 3] @ T_truth_map[:3, :3].T + T_truth_map[:3, 3]
    error = np.linalg.norm(moved - poses.truth[known, :3, 3], axis=1)
    return float(np.sqrt((error**2).mean()))


def read_map_frame(map_file: Path) -> Matrix | None:
    """Return T_truth_map from the metrics of the run that made a map; None where it is not there.

    The recording that is played must have its poses in the same frame as that run's.
    """
    try:
        content = json.loads((map_file.parent / _METRICS_FILE).read_text(encoding="utf-8"))
        matrix = np.asarray(content["trajectory"]["T_truth_map"], dtype=np.float64)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return matrix if matrix.shape == (4, 4) and np.isfinite(matrix).all() else None
