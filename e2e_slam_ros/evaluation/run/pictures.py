"""The pictures of a run: keyframes with depth and error, and the map from a few sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.figure import Panel, jpeg_uri, over_uri, panel_grid
from e2e_slam_ros.evaluation.report import empty, figure, hint
from e2e_slam_ros.evaluation.run.map_depth import map_depth
from e2e_slam_ros.evaluation.run.map_render import render, standard_views
from e2e_slam_ros.evaluation.run.summary import KeyframeSample, RunSummary
from e2e_slam_ros.evaluation.score_table import Column, ScoreRow, ScoreTable
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Depth = npt.NDArray[np.float32]

_RENDER_BACKGROUND = (32, 38, 47)
_KEYFRAME_COLUMNS = (
    Column("frame"),
    Column("reason", role="remark"),
    Column("new surfels", spec=","),
    Column("merged", spec=","),
    Column("removed", spec=","),
    Column("abs_rel", spec=".3f"),
    Column("RMSE in m", spec=".3f"),
    Column("δ<1.25", spec=".3f"),
    Column("median error in cm", spec=".1f"),
)


def map_pictures(summary: RunSummary, cloud: SurfelCloud) -> str:
    """Return renders of the map with the camera's path."""
    poses = summary.trajectory.estimated
    views = standard_views(cloud, poses)
    if not views:
        return empty("The map is empty.")
    path = poses[:, :3, 3] if len(poses) else None
    figures = []
    for view in views:
        # From the camera's own side its path is a line through the eye.
        picture = render(cloud, view, path if view.orthographic else None)
        uri = over_uri(picture, _RENDER_BACKGROUND)
        figures.append(figure(uri, view.title, view.title))
    return f'<div class="renders">{"".join(figures)}</div>'


def keyframe_pictures(summary: RunSummary, cloud: SurfelCloud, max_m: float) -> str:
    """Return input, depth, error and figures of the sampled keyframes.

    The error of a measured depth (RGB-D) would be zero by definition: there it is the error of
    the finished map against the measurement.
    """
    samples = summary.samples
    if not samples:
        return empty("No keyframe was mapped.")
    against_map = summary.truth_is_input
    errors = [_error(sample, cloud if against_map else None) for sample in samples]
    what = "finished map against this measurement" if against_map else "depth against the truth"
    told = f"{len(samples)} of {summary.keyframes:,} keyframes. Error: {what}. White: unknown."
    rows = [
        (
            f"keyframe {sample.record.index}",
            (
                Panel(sample.image / 255.0, "image"),
                Panel(np.where(sample.depth > 0.0, sample.depth, np.nan), "depth"),
                Panel(error, "error", "no true depth" if sample.truth is None else ""),
            ),
        )
        for sample, error in zip(samples, errors, strict=True)
    ]
    grid = panel_grid(
        ("input", "depth", "error"),
        rows,
        _depth_range(samples, max_m),
        _error_range(errors),
        error_unit="metres",
        panel_width=3.8,
    )
    table = ScoreTable(
        _KEYFRAME_COLUMNS,
        tuple(_row(s, e, against_map) for s, e in zip(samples, errors, strict=True)),
    )
    picture = figure(jpeg_uri(grid), "Input, depth and error of keyframes")
    return hint(told) + picture + table.html()


def _row(sample: KeyframeSample, error: Depth, against_map: bool) -> ScoreRow:
    record = sample.record
    depth = None if against_map else record.depth
    metrics = (None,) * 3 if depth is None else (depth.abs_rel, depth.rmse, depth.delta_1)
    median_m = float(np.nanmedian(error)) if np.isfinite(error).any() else None
    return ScoreRow(
        f"keyframe {record.index}",
        (
            record.frame_index,
            record.reason,
            record.added,
            record.merged,
            record.removed,
            *metrics,
            None if median_m is None else median_m * 100.0,
        ),
    )


def _error(sample: KeyframeSample, cloud: SurfelCloud | None) -> Depth:
    """Return |depth - truth| in metres, NaN where unknown.

    With ``cloud``, the depth is that of the finished map.
    """
    depth = sample.depth
    if sample.truth is None:
        return np.full_like(depth, np.nan)
    if cloud is not None:
        depth = map_depth(cloud, sample.camera, sample.record.T_map_camera)
    # Only what was fused can be right or wrong: the rest is out of range or at an edge.
    valid = (depth > 0.0) & (sample.truth > 0.0) & (sample.depth > 0.0)
    return np.where(valid, np.abs(depth - sample.truth), np.float32(np.nan))


def _depth_range(samples: Sequence[KeyframeSample], max_m: float) -> tuple[float, float]:
    known = _joined([sample.depth[sample.depth > 0.0] for sample in samples])
    if len(known) == 0:
        return 0.0, max_m
    low, high = (float(v) for v in np.percentile(known, (2.0, 98.0)))
    return low, max(high, low + 0.1)


def _error_range(errors: Sequence[Depth]) -> float:
    """Return the 95th percentile of all errors; at least 5 cm, not to stress millimetres."""
    known = _joined([error[np.isfinite(error)] for error in errors])
    return max(0.05, float(np.percentile(known, 95.0))) if len(known) else 0.05


def _joined(parts: Sequence[npt.NDArray[Any]]) -> Depth:
    return np.concatenate([np.zeros(0, np.float32), *parts])
