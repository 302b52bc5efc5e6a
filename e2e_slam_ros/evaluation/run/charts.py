"""The charts of a run: the camera's path, and values over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.figure import (
    BLUE,
    GREEN,
    GREY,
    PINK,
    Series,
    bar_chart,
    line_chart,
    strip_chart,
)
from e2e_slam_ros.evaluation.report import chart, empty, hint, side_by_side
from e2e_slam_ros.evaluation.run.map_render import up_axis
from e2e_slam_ros.evaluation.run.passages import worst_passage
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama
from e2e_slam_ros.tracking.state import TrackingState

Array = npt.NDArray[np.float64]

# The farthest landmarks would make the picture small.
_CENTRAL_PERCENT = 97.0
_STATE_COLORS = {
    TrackingState.INITIALISING: GREY,
    TrackingState.TRACKING: GREEN,
    TrackingState.LOST: PINK,
    TrackingState.RELOCALISED: BLUE,
}


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
    landmarks = central_landmarks(summary)
    if len(landmarks):
        seen = Series(landmarks[:, across], landmarks[:, along], "landmarks", GREY, 1.5, dots=True)
        lines.insert(0, seen)
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
    if summary.tracking is not None:
        told += " The poses are those given out at the time, before later corrections."
    return hint(told) + side_by_side(*charts)


def _in_frame_of(positions: Array, true: Array) -> Array:
    """Return true positions (N, 3), rigidly moved onto the estimated ones."""
    both = np.isfinite(positions).all(axis=1) & np.isfinite(true).all(axis=1)
    if not both.any():
        return true
    return umeyama(true[both], positions[both], with_scale=False).apply(true)


def central_landmarks(summary: RunSummary) -> Array:
    """Return the visual tracker's landmarks (L, 3) without the few that lie far away."""
    points = np.zeros((0, 3)) if summary.tracking is None else summary.tracking.landmarks
    if not len(points):
        return points
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    central: Array = points[distance <= np.percentile(distance, _CENTRAL_PERCENT)]
    return central


def tracking_charts(summary: RunSummary) -> str:
    """Return the visual tracker's states and agreeing landmarks over time, and the scale."""
    history = summary.tracking
    if history is None:
        return empty("Poses were given, not tracked.")
    seconds = (history.stamps_ns - history.stamps_ns[0]).astype(np.float64) * 1e-9
    rows = [
        (
            state.value,
            _STATE_COLORS[state],
            _bars(seconds, [one is state for one in history.states]),
        )
        for state in TrackingState
        if state in history.states
    ]
    charts = [chart(strip_chart(rows, "s"), "State of the tracker")]
    agreeing = Series(seconds, history.inliers.astype(np.float64), filled=True)
    drawn = line_chart([agreeing], "s", "landmarks", from_zero=True)
    charts.append(chart(drawn, "Landmarks that agree with the pose"))
    factors = [(r.stamp_ns, r.scale) for r in summary.records if r.scale is not None]
    if factors:
        stamps = _int64([stamp for stamp, _ in factors])
        at = (stamps - history.stamps_ns[0]).astype(np.float64) * 1e-9
        line = Series(at, np.array([factor for _, factor in factors]), color=PINK)
        title = "Scale: factor from the depth source to the tracker's metres"
        charts.append(chart(line_chart([line], "s", "factor", from_zero=True), title))
    lost, frames = history.times_lost, len(history.states)
    told = f"{frames:,} frames; lost {lost} times; {len(history.landmarks):,} landmarks."
    return hint(told) + side_by_side(*charts)


def _bars(seconds: Array, on: list[bool]) -> list[tuple[float, float]]:
    """Return start and length of each time that lasts while ``on``; a frame lasts to the next."""
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    ends = np.append(seconds[1:], seconds[-1] + step)
    edges = np.diff(np.array([False, *on, False]).astype(int))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [
        (float(seconds[a]), float(ends[b] - seconds[a]))
        for a, b in zip(starts, stops, strict=True)
    ]


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
        worst = worst_passage(records)
        told = "" if worst is None else hint(f"Worst passage: {worst}.")
    else:
        told = ""
        lines = [
            Series(seconds, _floats([r.merged for r in records]), "merged with a surfel", BLUE),
            Series(seconds, _floats([r.added for r in records]), "new surfels", PINK),
        ]
        title, unit = "Points of each keyframe", "points"
    drawn = chart(line_chart(lines, "s", unit, from_zero=True), title)
    return told + side_by_side(growth, drawn)


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
