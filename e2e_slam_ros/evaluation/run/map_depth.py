"""Depth of the finished map as a keyframe's camera would see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.evaluation.splat import splat
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

# Side of the square a surfel covers where no surfel has the pixel for itself, pixels.
_REACH = 3
# Relative step in depth above which a surfel is seen through a gap in a nearer surface.
_GAP_STEP = 0.05


def map_depth(
    cloud: SurfelCloud, camera: PinholeCamera, T_map_camera: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return (H, W) float32 z in metres of the nearest surfel at each pixel, 0 where none is.

    Surfels seen from behind are left out: they belong to the other side of a wall. A pixel
    without a surfel, or with one well behind those around it, is a gap in a surface: it gets
    the nearest depth around it.

    Args:
        cloud: the map.
        camera: intrinsics without distortion.
        T_map_camera: (4, 4) camera to map.
    """
    rotation, position = T_map_camera[:3, :3], T_map_camera[:3, 3]
    rays = cloud.positions.astype(np.float64) - position
    facing = np.einsum("ij,ij->i", rays, cloud.normals) < 0.0
    points = rays[facing] @ rotation
    depth, _ = splat(points, camera)
    around, _ = splat(points, camera, _REACH)
    gap = (around > 0.0) & ((depth == 0.0) | (depth > around * (1.0 + _GAP_STEP)))
    filled: npt.NDArray[np.float32] = np.where(gap, around, depth)
    return filled
