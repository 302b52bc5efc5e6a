"""The charts of a run: the camera's path, and values over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.figure import BLUE, GREY, PINK, Series, bar_chart, line_chart
from e2e_slam_ros.evaluation.report import chart, empty, hint, side_by_side
from e2e_slam_ros.evaluation.run.map_render import up_axis
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama

Array = npt.NDArray[np.float64]


def trajectory_charts(summary: RunSummary) -> str:
    """Return the camera's path from above and, unless it was given, its error over time."""
    poses = summary.trajectory
    if len(poses.stamps_ns) == 0:
        return empty("No frame got a pose.")
    up = int(np.argmax(np.abs(up_axis(poses.estimated))))
    across, along = (axis for axis in range(3) if axis != up)
    positions, true = poses.estimated[:, :3, 3], poses.truth[:, :3, 3]
    given = summary.poses_are_given
    label = "given poses" if given else "estimated"
    lines = [Series(positions[:, across], positions[:, along], label, PINK, start_dot=True)]
    compared = poses.has_truth and not given
    if compared and summary.has_own_map_frame:
        true = _in_frame_of(positions, true)
    if compared:
        lines.insert(0, Series(true[:, across], true[:, along], "ground truth", BLUE, width=4.0))
    plan = line_chart(lines, f"{'xyz'[across]} in m", f"{'xyz'[along]} in m", equal=True, height=4)
    charts = [chart(plan, "Seen from above", f"Path of the camera, {label}")]
    if compared:
        # Poses from outside stand as they are: alignment would hide where the error comes from.
        distance = np.linalg.norm(positions - true, axis=1) * 100.0
        line = Series(_seconds(poses.stamps_ns, summary), distance, color=PINK, filled=True)
        aligned = "after rigid alignment" if summary.has_own_map_frame else "not aligned"
        title = f"Distance to the true position, {aligned}"
        charts.append(chart(line_chart([line], "s", "cm", from_zero=True, height=4), title))
    length = float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())
    told = f"{len(positions):,} poses, path {length:.2f} m; the dot is the start."
    return hint(told) + side_by_side(*charts)


def _in_frame_of(positions: Array, true: Array) -> Array:
    """Return true positions (N, 3), rigidly moved onto the estimated ones."""
    both = np.isfinite(positions).all(axis=1) & np.isfinite(true).all(axis=1)
    if not both.any():
        return true
    return umeyama(true[both], positions[both], with_scale=False).apply(true)


def keyframe_charts(summary: RunSummary) -> str:
    """Return the size of the map and the depth error over the keyframes."""
    records = summary.records
    if not records:
        return empty("No keyframe was mapped.")
    seconds = _seconds(_int64([record.stamp_ns for record in records]), summary)
    surfels = Series(seconds, _floats([r.surfels for r in records]), filled=True)
    growth = chart(line_chart([surfels], "s", "surfels", from_zero=True), "Surfels in the map")
    errors = _floats([r.depth.abs_rel if r.depth else None for r in records])
    if np.isfinite(errors).any() and not summary.truth_is_input:
        before = _floats([r.unrefined.abs_rel if r.unrefined else None for r in records])
        lines = [Series(seconds, errors, "as fused", PINK)]
        if not np.array_equal(before, errors, equal_nan=True):
            lines.insert(0, Series(seconds, before, "before refinement", GREY))
        title, unit = "Depth error of each keyframe", "abs_rel"
    else:
        lines = [
            Series(seconds, _floats([r.merged for r in records]), "merged with a surfel", BLUE),
            Series(seconds, _floats([r.added for r in records]), "new surfels", PINK),
        ]
        title, unit = "Points of each keyframe", "points"
    return side_by_side(growth, chart(line_chart(lines, "s", unit, from_zero=True), title))


def refinement_chart(summary: RunSummary) -> str:
    """Return the loss of every keyframe before and after its refinement."""
    begun = [record for record in summary.records if record.loss_first is not None]
    if not begun:
        return empty("No refinement began.")
    seconds = _seconds(_int64([record.stamp_ns for record in begun]), summary)
    lines = [
        Series(seconds, _floats([r.loss_first for r in begun]), "before refinement", GREY),
        Series(seconds, _floats([r.loss_last for r in begun]), "after", PINK),
    ]
    drawn = line_chart(lines, "s", "total loss", from_zero=True)
    return chart(drawn, "Loss of each keyframe", "total loss over s")


def stage_chart(summary: RunSummary) -> str:
    """Return bars of the time spent in every stage."""
    ends = [(times.p50, times.p95) for times in summary.latency_ms.values()]
    drawn = bar_chart(list(summary.latency_ms), ends, "ms")
    return chart(drawn, "Median, and up to the 95th percentile in light")


def _floats(values: list[float | None] | list[int]) -> Array:
    return np.array(values, dtype=np.float64)


def _int64(values: list[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _seconds(stamps_ns: npt.NDArray[np.int64], summary: RunSummary) -> Array:
    """Return the time since the first pose, or since the first stamp where there is no pose."""
    tracked = summary.trajectory.stamps_ns
    first = int(tracked[0]) if len(tracked) else int(stamps_ns[0])
    return (stamps_ns - first).astype(np.float64) * 1e-9
