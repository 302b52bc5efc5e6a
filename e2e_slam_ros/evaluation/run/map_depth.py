"""Depth of the finished map as a keyframe's camera would see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.splat import splat_squares
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Array = npt.NDArray[np.float64]

# Side of the square a surfel covers where no surfel has the pixel for itself, pixels.
_REACH = 3
# Relative step in depth above which a surfel is seen through a gap in a nearer surface.
_GAP_STEP = 0.05
_NEAREST_M = 0.05


def map_depth(
    cloud: SurfelCloud, camera: PinholeCamera, T_map_camera: Array
) -> npt.NDArray[np.float32]:
    """Return (H, W) z in metres of the nearest surfel at each pixel, 0 where none is.

    Surfels seen from behind are left out: they belong to the other side of a wall. A pixel
    without a surfel, or with one well behind those around it, is a gap in a surface: it gets
    the nearest depth around it.

    Args:
        camera: intrinsics without distortion.
        T_map_camera: (4, 4) camera to map.
    """
    rotation, position = T_map_camera[:3, :3], T_map_camera[:3, 3]
    rays = cloud.positions.astype(np.float64) - position
    points = rays[np.einsum("ij,ij->i", rays, cloud.normals) < 0.0] @ rotation
    points = points[points[:, 2] > _NEAREST_M]
    z, focal, centre = points[:, 2], (camera.fx, camera.fy), (camera.cx, camera.cy)
    pixels = points[:, :2] / z[:, None] * np.array(focal) + np.array(centre)
    depth, around = (
        nearest_square(pixels, z, side, camera.width, camera.height)[0] for side in (1, _REACH)
    )
    filled = np.where(depth > around * (1.0 + _GAP_STEP), around, depth)
    return np.where(np.isfinite(filled), filled, 0.0).astype(np.float32)


def nearest_square(
    pixels: Array, depth: Array, size: npt.NDArray[np.int64] | int, width: int, height: int
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the depth (H, W) of the nearest square at each pixel, infinity where none is.

    Args:
        pixels: (N, 2) finite centres of the squares, u and v.
        depth: (N,) finite.
        size: side of the squares, pixels; one for all or one a square, (N,).
        width, height: of the result.

    Returns:
        The depth, and the index of the square (H, W), -1 where none is.
    """
    nearest, index = np.full((height, width), np.inf), np.full((height, width), -1)
    sides = np.broadcast_to(np.asarray(size), depth.shape)
    for side in np.unique(sides):
        chosen = np.flatnonzero(sides == side)
        corner = np.rint(pixels[chosen] - (side - 1) / 2).astype(np.int64)
        column, row, z = (torch.from_numpy(part) for part in (*corner.T, depth[chosen]))
        shown = splat_squares(column, row, z, width, height, int(side)).numpy()
        layer = np.where(shown >= 0, depth[chosen][shown], np.inf)
        nearer = layer < nearest
        nearest[nearer], index[nearer] = layer[nearer], chosen[shown[nearer]]
    return nearest, index
