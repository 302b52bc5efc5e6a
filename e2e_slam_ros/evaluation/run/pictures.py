"""The pictures of a run: keyframes with depth and error, and the map from a few sides."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.figure import (
    DEPTH_COLORS,
    ERROR_COLORS,
    color_bar_uri,
    color_uri,
    jpeg_uri,
    over_uri,
)
from e2e_slam_ros.evaluation.report import empty, figure, hint
from e2e_slam_ros.evaluation.run.map_depth import map_depth
from e2e_slam_ros.evaluation.run.map_render import render, standard_views
from e2e_slam_ros.evaluation.run.summary import KeyframeSample, RunSummary
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Depth = npt.NDArray[np.float32]

_RENDER_BACKGROUND = (32, 38, 47)


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
    """Return input, depth and error of the sampled keyframes, each column on one scale.

    Where the fused depth *is* the measurement (RGB-D), its error would be zero by definition:
    then the third picture is the finished map against that keyframe's measurement.
    """
    samples = summary.samples
    if not samples:
        return empty("No keyframe was mapped.")
    against_map = summary.truth_is_input
    errors = [_error(sample, cloud if against_map else None) for sample in samples]
    low, high = _depth_range(samples, max_m)
    worst = _error_range(errors)
    what = "finished map against this measurement" if against_map else "depth against the truth"
    told = (
        f"{len(samples)} of {summary.keyframes:,} keyframes. Third picture: {what}. Grey: unknown."
    )
    depth_bar = _bar(DEPTH_COLORS, f"{low:.1f} m", f"{high:.1f} m")
    error_bar = _bar(ERROR_COLORS, "0", f"≥ {worst * 100:.0f} cm")
    heads = f"<h3>Input</h3><h3>Depth{depth_bar}</h3><h3>Error{error_bar}</h3>"
    parts = [hint(told), f'<div class="strip">{heads}</div>']
    for sample, error in zip(samples, errors, strict=True):
        parts.append(_strip(sample, error, (low, high), worst))
        parts.append(_caption(sample, error, against_map))
    return "\n".join(parts)


def _strip(
    sample: KeyframeSample, error: Depth | None, depth_range: tuple[float, float], worst: float
) -> str:
    name = f"keyframe {sample.record.index}"
    valid = sample.depth > 0.0
    depth = color_uri(sample.depth, valid, *depth_range, DEPTH_COLORS)
    third = '<div class="blank">no true depth</div>'
    if error is not None:
        uri = color_uri(error, np.isfinite(error), 0.0, worst, ERROR_COLORS)
        third = figure(uri, f"error of {name}", kind="values")
    return (
        '<div class="strip">'
        + figure(jpeg_uri(sample.image), f"input of {name}")
        + figure(depth, f"depth of {name}", kind="values")
        + third
        + "</div>"
    )


def _caption(sample: KeyframeSample, error: Depth | None, against_map: bool) -> str:
    record = sample.record
    parts = [
        f"<b>Keyframe {record.index}</b> (frame {record.frame_index}, {escape(record.reason)})",
        f"{record.added:,} new surfels, {record.merged:,} merged, {record.removed:,} removed",
    ]
    if record.depth is not None and not against_map:
        parts.append(
            f"abs_rel {record.depth.abs_rel:.3f}, RMSE {record.depth.rmse:.3f} m, "
            f"δ&lt;1.25 {record.depth.delta_1:.3f}"
        )
    if error is not None and np.isfinite(error).any():
        parts.append(f"median error {np.nanmedian(error) * 100:.1f} cm")
    return f'<p class="key-line">{" · ".join(parts)}</p>'


def _error(sample: KeyframeSample, cloud: SurfelCloud | None) -> Depth | None:
    """Return |depth - truth| in metres, NaN where unknown; None without truth.

    With ``cloud``, the depth is that of the finished map.
    """
    if sample.truth is None:
        return None
    depth = sample.depth
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


def _error_range(errors: Sequence[Depth | None]) -> float:
    """Return the 95th percentile of all errors; at least 5 cm, not to stress millimetres."""
    known = _joined([error[np.isfinite(error)] for error in errors if error is not None])
    return max(0.05, float(np.percentile(known, 95.0))) if len(known) else 0.05


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _bar(colormap: str, low: str, high: str) -> str:
    uri = color_bar_uri(colormap)
    return f'<div class="bar">{escape(low)}<img src="{uri}" alt="">{escape(high)}</div>'
