"""Pictures of the map from a few sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

from e2e_slam_ros.evaluation.run.map_depth import nearest_square
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Array = npt.NDArray[np.float64]

# More points than this add nothing to pictures of this size.
_MOST_POINTS = 1_000_000
# The least and the most that a surfel covers, and the nearest that a perspective view shows.
_FINEST_M, _COARSEST_M, _NEAREST_M = 0.015, 0.05, 0.05
# Surfels whose distance to their neighbours says how densely the map is covered.
_SAMPLED, _NEIGHBOURS = 2000, 4
_PATH_COLOR = (255, 64, 129, 255)
_START_COLOR = (0, 200, 120, 255)


@dataclass(frozen=True, eq=False)
class MapCamera:
    """A camera that looks at the map.

    Attributes:
        title: words below its picture.
        T_view_map: (4, 4), map to view frame (x right, y down, z forward).
        focal: pixels for a perspective view, pixels per metre for an orthographic one.
        orthographic: its rays are parallel.
        cull: leave out surfels seen from behind, so that one looks into rooms through walls
            and ceilings.
        width, height: size in pixels.

    >>> plan = MapCamera("plan", np.eye(4), 50.0, orthographic=True, cull=True)
    >>> plan.to_view(np.array([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 2.0, 3.0]]
    """

    title: str
    T_view_map: Array
    focal: float
    orthographic: bool
    cull: bool
    width: int = 960
    height: int = 640

    def to_view(self, points: Array) -> Array:
        """Return (N, 3) points of the map in the view frame."""
        moved: Array = points @ self.T_view_map[:3, :3].T + self.T_view_map[:3, 3]
        return moved

    def pixels(self, points: Array) -> Array:
        """Project (N, 3) view-frame points to (N, 2) u, v."""
        scale = self.focal if self.orthographic else self.focal / points[:, 2:3]
        half = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        pixels: Array = points[:, :2] * scale + half
        return pixels


def render(
    cloud: SurfelCloud, view: MapCamera, path: Array | None = None
) -> npt.NDArray[np.uint8]:
    """Render the nearest surfels, with the camera path on top.

    Args:
        path: (N, 3) camera positions in the map frame; None draws none.

    Returns:
        (H, W, 4) uint8 RGBA, transparent where nothing is.
    """
    pick = slice(None, None, max(1, len(cloud.positions) // _MOST_POINTS))
    points = view.to_view(cloud.positions[pick].astype(np.float64))
    normals = cloud.normals[pick].astype(np.float64) @ view.T_view_map[:3, :3].T
    towards = np.array([0.0, 0.0, -1.0]) if view.orthographic else -_unit(points)
    facing = (normals * towards).sum(axis=1)
    seen = np.isfinite(points).all(axis=1) & (view.orthographic | (points[:, 2] > _NEAREST_M))
    if view.cull:
        seen &= facing > 0.05
    points, facing = points[seen], facing[seen]
    pixels_per_m = view.focal if view.orthographic else view.focal / points[:, 2]
    size = np.clip(np.rint(_spacing_m(points) * pixels_per_m), 1, 7).astype(np.int64)
    pixels = view.pixels(points)
    _, index = nearest_square(pixels, points[:, 2], size, view.width, view.height)
    shade = 0.72 + 0.28 * np.clip(np.abs(facing), 0.0, 1.0)
    colors = (cloud.colors[pick][seen].astype(np.float64) * shade[:, None]).astype(np.uint8)
    canvas = np.zeros((view.height, view.width, 4), dtype=np.uint8)
    canvas[index >= 0, :3] = colors[index[index >= 0]]
    canvas[index >= 0, 3] = 255
    return canvas if path is None or len(path) == 0 else _draw_path(canvas, path, view)


def _spacing_m(points: Array) -> float:
    """Return the side of the squares that cover a surface without gaps, metres."""
    if len(points) <= _NEIGHBOURS:
        return _FINEST_M
    sample = points[:: max(1, len(points) // _SAMPLED)]
    distances, _ = cKDTree(points).query(sample, k=_NEIGHBOURS + 1)
    return float(np.clip(np.median(distances[:, -1]), _FINEST_M, _COARSEST_M))


def up_axis(poses: Array) -> Array:
    """Return the map axis (unit, signed) that the images' up direction is closest to.

    ``poses`` is (N, 4, 4) camera-to-map; with none, z.
    """
    if len(poses) == 0:
        return np.array([0.0, 0.0, 1.0])
    up = -poses[:, :3, 1].mean(axis=0)
    axis = int(np.argmax(np.abs(up)))
    return np.eye(3)[axis] * (1.0 if up[axis] >= 0 else -1.0)


def standard_views(cloud: SurfelCloud, poses: Array) -> list[MapCamera]:
    """Return an oblique view, a plan and one from behind the first camera.

    ``poses`` is (N, 4, 4) camera-to-map. Empty when the map is.
    """
    if len(cloud.positions) == 0:
        return []
    up = up_axis(poses)
    low, high = np.percentile(cloud.positions, (1.0, 99.0), axis=0).astype(np.float64)
    center, extent = (low + high) / 2, float(np.linalg.norm(high - low))
    east = np.eye(3)[(int(np.argmax(np.abs(up))) + 1) % 3]
    north = np.cross(up, east)
    if (high - low) @ np.abs(north) > (high - low) @ np.abs(east):
        east, north = north, -east  # the long side of the plan goes across the page
    views = [
        _fitted(
            "From above, walls on this side removed",
            cloud,
            center,
            _open_side(cloud, up, north, east),
            up,
            orthographic=True,
        ),
        _fitted("Plan, ceiling removed", cloud, center, -up, north, orthographic=True),
    ]
    if len(poses):
        views.append(_behind_first(poses[0], 0.12 * extent))
    return views


def _open_side(cloud: SurfelCloud, up: Array, north: Array, east: Array) -> Array:
    """Return the slanting direction in which most surfels face the viewer."""
    normals = cloud.normals[:: max(1, len(cloud.normals) // 20_000)].astype(np.float64)
    sides = [
        _unit(-0.75 * up + 0.8 * ahead + 0.35 * aside)
        for ahead, aside in ((north, east), (east, -north), (-north, -east), (-east, north))
    ]
    return max(sides, key=lambda forward: float(np.count_nonzero(normals @ forward < 0.0)))


def _fitted(
    title: str, cloud: SurfelCloud, center: Array, forward: Array, up: Array, orthographic: bool
) -> MapCamera:
    """Look along ``forward`` at ``center``, the map's bulk filling the picture."""
    rotation = _look(forward, up)
    flat = (cloud.positions.astype(np.float64) - center) @ rotation.T
    low, high = np.percentile(flat, (0.5, 99.5), axis=0)
    span = np.maximum(high - low, 1e-3)
    middle = center + rotation.T @ ((low + high) / 2)
    width = 960
    height = int(np.clip(width * span[1] / span[0], 400, 800))
    focal = 0.94 * min(width / span[0], height / span[1])
    width = int(np.clip(focal * span[0] * 1.08, 400, width))
    return MapCamera(title, _pose(rotation, middle), focal, orthographic, True, width, height)


def _behind_first(T_map_camera: Array, distance: float) -> MapCamera:
    forward = T_map_camera[:3, 2]
    position = T_map_camera[:3, 3] - distance * forward
    rotation = T_map_camera[:3, :3].T
    view = _pose(rotation, position)
    return MapCamera("From behind the first camera", view, 560.0, False, True, 960, 640)


def _look(forward: Array, up: Array) -> Array:
    """Return the 3x3 map-to-view rotation with z ``forward`` and -y nearest to ``up``."""
    z = _unit(forward)
    x = _unit(np.cross(z, up))
    rotation: Array = np.stack([x, np.cross(z, x), z])
    return rotation


def _pose(rotation: Array, position: Array) -> Array:
    T_view_map = np.eye(4)
    T_view_map[:3, :3] = rotation
    T_view_map[:3, 3] = -rotation @ position
    return T_view_map


def _unit(vector: Array) -> Array:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    unit: Array = vector / np.maximum(length, 1e-12)
    return unit


def _draw_path(
    canvas: npt.NDArray[np.uint8], path: Array, view: MapCamera
) -> npt.NDArray[np.uint8]:
    points = view.to_view(path)
    front = np.isfinite(points).all(axis=1) & (view.orthographic | (points[:, 2] > _NEAREST_M))
    pixels = [(float(u), float(v)) for u, v in view.pixels(points[front])]
    picture = Image.fromarray(canvas)
    if pixels:
        draw = ImageDraw.Draw(picture)
        draw.line(pixels, fill=_PATH_COLOR, width=3, joint="curve")
        _dot(draw, pixels[0], _START_COLOR)
    painted: npt.NDArray[np.uint8] = np.array(picture)
    return painted


def _dot(draw: ImageDraw.ImageDraw, at: Sequence[float], color: tuple[int, int, int, int]) -> None:
    u, v = at
    draw.ellipse((u - 6, v - 6, u + 6, v + 6), fill=color, outline=(255, 255, 255, 255), width=2)
