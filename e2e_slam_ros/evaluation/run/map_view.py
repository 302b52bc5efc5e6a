"""The map as an interactive part of the report's page.

The script is three.js with `tools/map_view/map_view.js`, bundled by `tools/build_map_view.py`.
"""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.report import empty, hint
from e2e_slam_ros.evaluation.run.map_render import MapCamera, standard_views, up_axis
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.thinning import thinned

Array = npt.NDArray[np.float64]

# More points than this turn slowly on a machine without a graphics card.
_MOST_POINTS = 150_000
# Positions 6, normal 3, colour 3; base64 makes 4 characters of 3 bytes.
_POINT_CHARACTERS = 16
# Words, controls, frame of the data.
_OTHER_CHARACTERS = 4_000
_MOST_PATH_POINTS = 2_000
_PATH_CHARACTERS = 16
# Per cent of the points on each side that do not count for the shown box, and its margin.
_STRAY, _MARGIN = 0.5, 0.25
# A drawn square is a little larger than the spacing, so that walls look closed.
_OVERLAP = 1.3
_CONTROLS = """<div class="map-view"><div class="map-canvas" data-map="view"></div>
<p><label><input type="checkbox" data-map="cull" checked> look through walls from behind</label>
<label><input type="checkbox" data-map="path" checked> path</label>
<button type="button" data-map="home">first view</button></p>
"""


def map_view(summary: RunSummary, cloud: SurfelCloud, most_characters: int) -> str:
    """Return canvas, controls, data and script; the map is thinned evenly until they fit.

    Args:
        most_characters: size of all of it. Where even 1,000 points do not fit, a sentence says so.
    """
    finite = np.flatnonzero(np.isfinite(cloud.positions).all(axis=1))
    if len(finite) == 0:
        return empty("The map is empty.")
    script = _script()
    room = most_characters - len(script) - _OTHER_CHARACTERS
    most = (room - _MOST_PATH_POINTS * _PATH_CHARACTERS) // _POINT_CHARACTERS
    if most < 1_000:
        return empty("The other parts of the page leave no room for it.")
    poses = summary.trajectory.estimated
    inside, low, high = _bulk(cloud, finite)
    # The surest surfel of each cube.
    surest = inside[np.argsort(-cloud.confidence[inside], kind="stable")]
    rows, spacing_m = thinned(cloud.positions, surest, min(most, _MOST_POINTS))
    chosen = SurfelCloud(
        cloud.positions[rows], cloud.normals[rows], cloud.colors[rows], cloud.confidence[rows]
    )
    data = _data(chosen, low, high, poses)
    data["size_m"] = _OVERLAP * spacing_m
    told = (
        f"{len(rows):,} of {len(cloud):,} surfels, one for each {spacing_m * 100:.0f} cm. Drag to "
        "turn, right button to move, wheel to zoom. Red: the camera's path from the green dot."
    )
    if left_out := len(finite) - len(inside):
        told += f" {left_out:,} surfels far from all others are not shown."
    return (
        hint(told)
        + _CONTROLS
        + f'<script type="application/json" data-map="data">{json.dumps(data)}</script></div>\n'
        + f"<script>{script}</script>"
    )


def _bulk(cloud: SurfelCloud, rows: npt.NDArray[np.int64]) -> tuple[Any, Array, Array]:
    """Return the rows inside the box that holds the map's bulk, and the box's corners."""
    positions = cloud.positions[rows].astype(np.float64)
    low, high = np.percentile(positions, (_STRAY, 100.0 - _STRAY), axis=0)
    margin = _MARGIN * float((high - low).max()) + 0.1
    low, high = low - margin, high + margin
    inside = ((positions >= low) & (positions <= high)).all(axis=1)
    return rows[inside], low, high


def _data(cloud: SurfelCloud, low: Array, high: Array, poses: Array) -> dict[str, Any]:
    """Return what ``map_view.js`` reads; positions are relative to the centre of the box."""
    center, extent = (low + high) / 2, high - low
    shares = (cloud.positions - low) / extent
    view, up = standard_views(cloud, poses)[0], up_axis(poses)
    normals = np.nan_to_num(cloud.normals)
    return {
        "positions": _base64(np.rint(shares * 65535.0).astype("<u2")),
        "normals": _base64(np.rint(np.clip(normals, -1.0, 1.0) * 127.0).astype(np.int8)),
        "colors": _base64(cloud.colors),
        "path": _base64((_path(poses) - center).astype("<f4")),
        "extent_m": extent.tolist(),
        "reach_m": float(np.linalg.norm(extent)),
        "up": up.tolist(),
        "target": (_target(view) - center).tolist(),
        "forward": view.T_view_map[2, :3].tolist(),
        "half_width_m": view.width / 2 / view.focal,
        "half_height_m": view.height / 2 / view.focal,
    }


def _target(view: MapCamera) -> Array:
    """Return the point of the map in the middle of an orthographic view."""
    target: Array = -view.T_view_map[:3, :3].T @ view.T_view_map[:3, 3]
    return target


def _path(poses: Array) -> Array:
    positions = poses[:, :3, 3]
    positions = positions[np.isfinite(positions).all(axis=1)]
    path: Array = positions[:: max(1, -(-len(positions) // _MOST_PATH_POINTS))]
    return path


def _base64(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _script() -> str:
    file = files("e2e_slam_ros.evaluation.run") / "map_view.min.js"
    return file.read_text(encoding="utf-8")
