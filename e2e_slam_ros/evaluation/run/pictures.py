"""The report's pictures: keyframes with depth and error, and the map from a few sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.pictures import bar_uri, color_uri, jpeg_uri, over_uri
from e2e_slam_ros.evaluation.run.map_depth import map_depth
from e2e_slam_ros.evaluation.run.map_render import render, standard_views
from e2e_slam_ros.evaluation.run.summary import KeyframeSample, RunSummary
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

_DEPTH_COLORS, _ERROR_COLORS = "turbo", "magma"
_RENDER_BACKGROUND = (32, 38, 47)


@dataclass(frozen=True, eq=False)
class _Error:
    """|depth - truth| of one keyframe in metres; (h, w), and where both are known."""

    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]

    @property
    def median_m(self) -> float | None:
        return float(np.median(self.values[self.valid])) if self.valid.any() else None


def map_pictures(summary: RunSummary, cloud: SurfelCloud) -> str:
    """Return renders of the map with the camera's path."""
    poses = summary.trajectory.estimated
    views = standard_views(cloud, poses)
    if not views:
        return '<p class="none">The map is empty.</p>'
    path = poses[:, :3, 3] if len(poses) else None
    figures = []
    for view in views:
        # From the camera's own side its path is a line through the eye.
        picture = render(cloud, view, path if view.orthographic else None)
        uri = over_uri(picture, _RENDER_BACKGROUND)
        figures.append(_figure(uri, view.title, view.title, "photo"))
    return f'<div class="renders">{"".join(figures)}</div>'


def keyframe_pictures(summary: RunSummary, cloud: SurfelCloud, max_m: float) -> str:
    """Return input, depth and error of the sampled keyframes, each column on one scale.

    Where the fused depth *is* the measurement (RGB-D), its error would be zero by definition:
    then the third picture is the finished map against that keyframe's measurement.
    """
    samples = summary.samples
    if not samples:
        return '<p class="none">No keyframe was mapped.</p>'
    against_map = summary.truth_is_input
    errors = [_error(sample, cloud if against_map else None) for sample in samples]
    low, high = _depth_range(samples, max_m)
    worst = _error_range(errors)
    what = "finished map against this measurement" if against_map else "depth against the truth"
    hint = (
        f"{len(samples)} of {summary.keyframes:,} keyframes. Third picture: {what}. Grey: unknown."
    )
    depth_bar = _bar(_DEPTH_COLORS, f"{low:.1f} m", f"{high:.1f} m")
    error_bar = _bar(_ERROR_COLORS, "0", f"≥ {worst * 100:.0f} cm")
    heads = f"<h3>Input</h3><h3>Depth{depth_bar}</h3><h3>Error{error_bar}</h3>"
    parts = [f'<p class="hint">{hint}</p>', f'<div class="strip">{heads}</div>']
    for sample, error in zip(samples, errors, strict=True):
        parts.append(_strip(sample, error, (low, high), worst))
        parts.append(_caption(sample, error, against_map))
    return "\n".join(parts)


def _strip(
    sample: KeyframeSample, error: _Error | None, depth_range: tuple[float, float], worst: float
) -> str:
    name = f"keyframe {sample.record.index}"
    valid = sample.depth > 0.0
    depth = color_uri(sample.depth, valid, *depth_range, _DEPTH_COLORS)
    third = '<div class="blank">no true depth</div>'
    if error is not None:
        uri = color_uri(error.values, error.valid, 0.0, worst, _ERROR_COLORS)
        third = _figure(uri, f"error of {name}", "", "values")
    return (
        '<div class="strip">'
        + _figure(jpeg_uri(sample.image), f"input of {name}", "", "photo")
        + _figure(depth, f"depth of {name}", "", "values")
        + third
        + "</div>"
    )


def _caption(sample: KeyframeSample, error: _Error | None, against_map: bool) -> str:
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
    median = None if error is None else error.median_m
    if median is not None:
        parts.append(f"median error {median * 100:.1f} cm")
    return f'<p class="key-line">{" · ".join(parts)}</p>'


def _error(sample: KeyframeSample, cloud: SurfelCloud | None) -> _Error | None:
    """Compare the sample's depth, or the map if one is given, with the truth."""
    if sample.truth is None:
        return None
    depth = sample.depth
    if cloud is not None:
        depth = map_depth(cloud, sample.camera, sample.record.T_map_camera)
    # Only what was fused can be right or wrong: the rest is out of range or at an edge.
    valid = (depth > 0.0) & (sample.truth > 0.0) & (sample.depth > 0.0)
    return _Error(np.abs(depth - sample.truth), valid)


def _depth_range(samples: Sequence[KeyframeSample], max_m: float) -> tuple[float, float]:
    known = _joined([sample.depth[sample.depth > 0.0] for sample in samples])
    if len(known) == 0:
        return 0.0, max_m
    low, high = (float(v) for v in np.percentile(known, (2.0, 98.0)))
    return low, max(high, low + 0.1)


def _error_range(errors: Sequence[_Error | None]) -> float:
    """95 % of all errors fit; at least 5 cm, so that millimetres do not look alarming."""
    known = _joined([error.values[error.valid] for error in errors if error is not None])
    return max(0.05, float(np.percentile(known, 95.0))) if len(known) else 0.05


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _bar(colormap: str, low: str, high: str) -> str:
    uri = bar_uri(colormap)
    return f'<div class="bar">{escape(low)}<img src="{uri}" alt="">{escape(high)}</div>'


def _figure(uri: str, alt: str, caption: str, kind: str) -> str:
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img class="{kind}" src="{uri}" alt="{escape(alt)}">{text}</figure>'
