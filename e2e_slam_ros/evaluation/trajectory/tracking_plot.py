"""The estimated trajectory over the true one, as a picture."""

from __future__ import annotations

import io

import numpy as np

from e2e_slam_ros.evaluation.trajectory.alignment import umeyama
from e2e_slam_ros.evaluation.trajectory.errors import Array
from e2e_slam_ros.evaluation.trajectory.tracking_protocol import TrackingRun

_LANDMARK_PERCENTILE = 98.0


def trajectory_plot(run: TrackingRun, title: str, with_scale: bool) -> bytes:
    """Return a PNG: the path from above, the error over time, landmarks in grey.

    Args:
        run: the tracked sequence, with the true poses where there are any.
        title: written above.
        with_scale: align with a similarity; for runs without a measured scale.
    """
    from matplotlib.figure import Figure

    final, true = run.sequence.T_map_camera, run.true
    known = np.isfinite(final).all((1, 2))
    both = known & np.isfinite(true).all((1, 2))
    estimated, landmarks = final[:, :3, 3], run.sequence.landmarks
    if both.sum() >= 3:
        similarity = umeyama(estimated[both], true[both, :3, 3], with_scale)
        estimated, landmarks = similarity.apply(estimated), similarity.apply(landmarks)
    figure = Figure(figsize=(11, 5), layout="constrained")
    path, error = figure.subplots(1, 2)
    first, second = _widest(true[both, :3, 3] if both.any() else estimated[known])
    near = _central(landmarks)
    path.scatter(near[:, first], near[:, second], s=0.5, c="0.75")
    if both.any():
        path.plot(true[both, first, 3], true[both, second, 3], "k", lw=1.5, label="true")
    path.plot(estimated[:, first], estimated[:, second], "r", lw=1.0, label="estimated")
    path.set(xlabel=f"{'xyz'[first]} [m]", ylabel=f"{'xyz'[second]} [m]", aspect="equal")
    path.legend()
    if both.any():
        distance = np.linalg.norm(estimated - true[:, :3, 3], axis=1)
        error.plot(distance * 100.0, "r", lw=1.0)
        error.set(xlabel="frame", ylabel="position error [cm]", ylim=(0.0, None))
    else:
        error.set_axis_off()
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _widest(positions: Array) -> tuple[int, int]:
    """Return the two axes along which positions spread most, in order."""
    spread = np.ptp(positions, axis=0) if len(positions) else np.zeros(3)
    first, second = sorted(np.argsort(-spread)[:2].tolist())
    return first, second


def _central(points: Array) -> Array:
    if not len(points):
        return points
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    central: Array = points[distance <= np.percentile(distance, _LANDMARK_PERCENTILE)]
    return central
