"""The report's charts: where the camera went and how the run developed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.plots import Series, line_chart
from e2e_slam_ros.evaluation.run.map_render import up_axis
from e2e_slam_ros.evaluation.run.summary import RunSummary

Array = npt.NDArray[np.float64]

_AXIS_NAMES = "xyz"


def trajectory_charts(summary: RunSummary) -> str:
    """Return the camera's path from above and, unless it was given, its error over time."""
    trajectory = summary.trajectory
    if len(trajectory.stamps_ns) == 0:
        return '<p class="none">No frame got a pose.</p>'
    up = int(np.argmax(np.abs(up_axis(trajectory.estimated))))
    across, along = (axis for axis in range(3) if axis != up)
    estimated = trajectory.estimated[:, :3, 3]
    given = summary.poses_are_given
    label = "given poses" if given else "estimated"
    lines = [_path(estimated, across, along, label, "estimate", start_dot=True)]
    compared = trajectory.has_truth and not given
    if compared:
        true = trajectory.truth[:, :3, 3]
        lines.insert(0, _path(true, across, along, "ground truth", "truth"))
    titles = (f"{_AXIS_NAMES[across]} in m", f"{_AXIS_NAMES[along]} in m")
    plan = line_chart(lines, *titles, equal=True, height=400)
    length = float(np.linalg.norm(np.diff(estimated, axis=0), axis=1).sum())
    said = f"{len(estimated):,} poses, path {length:.2f} m; the dot is the start."
    second = _error_chart(summary) if compared else ""
    return (
        f'<p class="hint">{said}</p><div class="two">'
        f"<div><h3>Seen from above</h3>{plan}</div>{second}</div>"
    )


def keyframe_charts(summary: RunSummary) -> str:
    """Return the size of the map and the depth error over the keyframes."""
    records = summary.records
    if not records:
        return '<p class="none">No keyframe was mapped.</p>'
    seconds = _seconds(np.array([record.stamp_ns for record in records]), summary)
    surfels = np.array([record.surfels for record in records], dtype=np.float64)
    growth = line_chart(
        [Series(seconds, surfels, "", "plain", filled=True)], "s", "surfels", from_zero=True
    )
    charts = [f"<div><h3>Surfels in the map</h3>{growth}</div>"]
    errors = np.array([r.depth.abs_rel if r.depth else np.nan for r in records])
    if np.isfinite(errors).any() and not summary.truth_is_input:
        before = np.array([r.unrefined.abs_rel if r.unrefined else np.nan for r in records])
        lines = [Series(seconds, errors, "as fused", "estimate")]
        if not np.array_equal(before, errors, equal_nan=True):
            lines.insert(0, Series(seconds, before, "before refinement", "before"))
        chart = line_chart(lines, "s", "abs_rel", from_zero=True)
        charts.append(f"<div><h3>Depth error of each keyframe</h3>{chart}</div>")
    else:
        added = np.array([record.added for record in records], dtype=np.float64)
        merged = np.array([record.merged for record in records], dtype=np.float64)
        lines = [
            Series(seconds, merged, "merged with a surfel", "plain"),
            Series(seconds, added, "new surfels", "estimate"),
        ]
        chart = line_chart(lines, "s", "points", from_zero=True)
        charts.append(f"<div><h3>What each keyframe did to the map</h3>{chart}</div>")
    return f'<div class="two">{"".join(charts)}</div>'


def refinement_chart(summary: RunSummary) -> str:
    """Return every keyframe's loss before and after its refinement."""
    begun = [record for record in summary.records if record.loss_first is not None]
    if not begun:
        return '<p class="none">No refinement began.</p>'
    seconds = _seconds(np.array([record.stamp_ns for record in begun]), summary)
    first = np.array([record.loss_first for record in begun], dtype=np.float64)
    last = np.array([record.loss_last for record in begun], dtype=np.float64)
    lines = [
        Series(seconds, first, "before refinement", "before"),
        Series(seconds, last, "after", "estimate"),
    ]
    return line_chart(lines, "s", "total loss", from_zero=True)


def _path(
    points: Array, across: int, along: int, label: str, style: str, start_dot: bool = False
) -> Series:
    return Series(points[:, across], points[:, along], label, style, start_dot)


def _error_chart(summary: RunSummary) -> str:
    """Distance to the truth as it stands; alignment would hide where it comes from."""
    trajectory = summary.trajectory
    offset = trajectory.estimated[:, :3, 3] - trajectory.truth[:, :3, 3]
    distance = np.linalg.norm(offset, axis=1)
    seconds = _seconds(trajectory.stamps_ns, summary)
    line = Series(seconds, distance * 100.0, "", "estimate", filled=True)
    chart = line_chart([line], "s", "cm", from_zero=True, height=400)
    return f"<div><h3>Distance to the true position, not aligned</h3>{chart}</div>"


def _seconds(stamps_ns: npt.NDArray[np.int64], summary: RunSummary) -> Array:
    first = int(summary.trajectory.stamps_ns[0]) if len(summary.trajectory.stamps_ns) else 0
    return (stamps_ns - (first or int(stamps_ns[0]))).astype(np.float64) * 1e-9
