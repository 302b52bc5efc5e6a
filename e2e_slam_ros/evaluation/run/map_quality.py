"""Accuracy and completeness of a map, against measured depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Array = npt.NDArray[np.float64]

_FARTHEST_M = 8.0
# Number of reference points along an image row: every sixth pixel of an image 540 wide.
_REFERENCES = 90
_MOST_POINTS, _MOST_SURFELS, _MOST_WALLS = 300_000, 200_000, 20_000
# A surfel farther behind what is measured than this was hidden.
_HIDDEN_M = 0.1
# Measured space is empty this far before the surface: metres, and share of the distance.
_EMPTY_M, _EMPTY_SHARE = 0.1, 0.05
# A surfel hangs in empty space if this share of the frames that look through it says so.
_EMPTY_FRAMES = 0.3
# A second layer lies so far behind a surfel, metres, with a normal within 20 degrees.
_LAYERS_M = np.arange(0.04, 0.15, 0.01)
_LAYER_M, _LAYER_COS = 0.01, 0.94


@dataclass(frozen=True, eq=False)
class MeasuredView:
    """A frame with measured depth and its true pose.

    Attributes:
        depth: (H, W) metres, 0 = unknown.
        camera: intrinsics of ``depth``.
        T_map_camera: (4, 4), in the map that is judged.

    Example:
        >>> camera = PinholeCamera(width=4, height=3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
        >>> MeasuredView(np.ones((3, 4)), camera, np.eye(4)).depth.shape
        (3, 4)
    """

    depth: npt.NDArray[np.floating]
    camera: PinholeCamera
    T_map_camera: Array


@dataclass(frozen=True)
class MapQuality:
    """The figures of a map; shares are in [0, 1].

    Attributes:
        surfels: number of surfels.
        accuracy_5, accuracy_10: share of surfels within 5 and 10 cm of a measured point, of those
            that a frame could have measured.
        completeness_5, completeness_10: share of measured points within 5 and 10 cm of a surfel.
        in_empty_space: share of the surfels that hang where frames measured empty space.
        double_walls: share of surfels with a second layer 4 to 14 cm behind them.

    Example:
        >>> figures = MapQuality(1000, 0.8, 0.9, 0.6, 0.9, 0.0, 0.0)
        >>> round(figures.f_score_5, 3), round(figures.f_score_10, 3)
        (0.686, 0.9)
    """

    surfels: int
    accuracy_5: float
    accuracy_10: float
    completeness_5: float
    completeness_10: float
    in_empty_space: float
    double_walls: float

    @property
    def f_score_5(self) -> float:
        """Harmonic mean of accuracy and completeness at 5 cm (Knapitsch et al. 2017)."""
        return _harmonic(self.accuracy_5, self.completeness_5)

    @property
    def f_score_10(self) -> float:
        """The same at 10 cm."""
        return _harmonic(self.accuracy_10, self.completeness_10)


def map_quality(cloud: SurfelCloud, views: Sequence[MeasuredView]) -> MapQuality | None:
    """Compare a map with measured depth; None where one of them is empty.

    Points are drawn with a fixed seed where there are many, so equal input gives equal figures.

    >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
    >>> v, u = np.mgrid[0:48, 0:64]
    >>> wall = 0.5 * np.stack([(u - 31.5) / 60.0, (v - 23.5) / 60.0, np.ones((48, 64))], -1)
    >>> wall = wall.reshape(-1, 3).astype(np.float32)
    >>> facing = np.tile(np.float32([0.0, 0.0, -1.0]), (len(wall), 1))
    >>> cloud = SurfelCloud(wall, facing, np.zeros_like(wall, np.uint8), np.ones(len(wall)))
    >>> quality = map_quality(cloud, [MeasuredView(np.full((48, 64), 0.5), camera, np.eye(4))])
    >>> quality.f_score_5, quality.in_empty_space, quality.double_walls
    (1.0, 0.0, 0.0)
    """
    points = cloud.positions.astype(np.float64)
    measured = [_points(view) for view in views]
    reference = np.concatenate(measured) if measured else np.zeros((0, 3))
    if not len(points) or not len(reference):
        return None
    draw = np.random.default_rng(0)
    reference = reference[draw.permutation(len(reference))[:_MOST_POINTS]]
    chosen = draw.permutation(len(points))[:_MOST_SURFELS]
    visible, hanging = _against_views(points[chosen], views)
    if not visible.any():
        return None
    tree = cKDTree(points)
    from_map = cKDTree(reference).query(points[chosen][visible], workers=-1)[0]
    to_map = tree.query(reference, workers=-1)[0]
    layered = draw.permutation(len(points))[:_MOST_WALLS]
    return MapQuality(
        surfels=len(points),
        accuracy_5=float((from_map < 0.05).mean()),
        accuracy_10=float((from_map < 0.10).mean()),
        completeness_5=float((to_map < 0.05).mean()),
        completeness_10=float((to_map < 0.10).mean()),
        in_empty_space=float(hanging[visible].mean()),
        double_walls=_double_walls(tree, points, cloud.normals.astype(np.float64), layered),
    )


def _points(view: MeasuredView) -> Array:
    """Return measured points (M, 3) in the map."""
    step = max(1, round(view.depth.shape[1] / _REFERENCES))
    depth = _known_depth(view)[::step, ::step]
    v, u = np.indices(depth.shape) * step
    camera, some = view.camera, depth > 0
    x, y = (u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth
    local = np.stack([x, y, depth], axis=-1)[some]
    T = view.T_map_camera
    return np.asarray(local @ T[:3, :3].T + T[:3, 3])


def _known_depth(view: MeasuredView) -> Array:
    depth = np.asarray(view.depth, dtype=np.float64)
    return np.where(np.isfinite(depth) & (depth <= _FARTHEST_M), depth, 0.0)


def _against_views(
    points: Array, views: Sequence[MeasuredView]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return masks (N,): points that a frame could have measured, and those in empty space."""
    seen, empty = np.zeros(len(points), np.int64), np.zeros(len(points), np.int64)
    for view in views:
        depth, camera, T = _known_depth(view), view.camera, view.T_map_camera
        local = (points - T[:3, 3]) @ T[:3, :3]
        z = local[:, 2]
        ahead = np.where(z > 0.1, z, 1.0)
        u = np.round(camera.fx * local[:, 0] / ahead + camera.cx)
        v = np.round(camera.fy * local[:, 1] / ahead + camera.cy)
        inside = (z > 0.1) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        behind = np.zeros(len(points))
        behind[inside] = depth[v[inside].astype(int), u[inside].astype(int)]
        there = inside & (behind > 0) & (z < behind + _HIDDEN_M)
        seen += there
        empty += there & (z < behind - np.maximum(_EMPTY_M, _EMPTY_SHARE * behind))
    return seen > 0, empty > _EMPTY_FRAMES * seen


def _double_walls(
    tree: cKDTree, points: Array, normals: Array, chosen: npt.NDArray[np.int64]
) -> float:
    found = np.zeros(len(chosen), np.bool_)
    for distance in _LAYERS_M:
        behind = points[chosen] - distance * normals[chosen]
        gap, other = tree.query(behind, distance_upper_bound=_LAYER_M, workers=-1)
        near = np.isfinite(gap)
        facing = (normals[np.where(near, other, 0)] * normals[chosen]).sum(1) > _LAYER_COS
        found |= near & facing
    return float(found.mean())


def _harmonic(one: float, other: float) -> float:
    return 2.0 * one * other / (one + other) if one + other > 0.0 else 0.0
