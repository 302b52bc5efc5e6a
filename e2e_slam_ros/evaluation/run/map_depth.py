"""Depth of the finished map as a keyframe's camera would see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

_NEAREST_M = 0.05
# Half the side of the square a surfel covers, in pixels: closes the gaps between surfels.
_REACH = 1
# Step in depth, relative, above which a surfel is seen through a gap in a nearer surface.
_GAP_STEP = 0.05


def map_depth(
    cloud: SurfelCloud, camera: PinholeCamera, T_map_camera: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return (H, W) float32 z in metres of the nearest surfel at each pixel, 0 where none is.

    Surfels seen from behind are left out: they belong to the other side of a wall.

    Args:
        cloud: the map.
        camera: intrinsics without distortion.
        T_map_camera: (4, 4) camera to map.
    """
    rotation, position = T_map_camera[:3, :3], T_map_camera[:3, 3]
    rays = cloud.positions.astype(np.float64) - position
    facing = np.einsum("ij,ij->i", rays, cloud.normals) < 0.0
    points = rays[facing] @ rotation
    points = points[points[:, 2] > _NEAREST_M]
    u = np.rint(points[:, 0] / points[:, 2] * camera.fx + camera.cx)
    v = np.rint(points[:, 1] / points[:, 2] * camera.fy + camera.cy)
    near = (u > -2) & (v > -2) & (u < camera.width + 1) & (v < camera.height + 1)
    # Far to near: of several values assigned to a pixel the last one stays.
    order = np.argsort(-points[near, 2], kind="stable")
    columns = u[near][order].astype(np.int64)
    rows = v[near][order].astype(np.int64)
    z = points[near, 2][order]
    return _nearest(columns, rows, z, camera)


def _nearest(
    columns: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    z: npt.NDArray[np.float64],
    camera: PinholeCamera,
) -> npt.NDArray[np.float32]:
    """A surfel's own pixel counts first; its neighbours close the gaps of a surface.

    A gap is a pixel without a surfel, or with one that lies well behind those around it.
    """
    depth = np.zeros((camera.height, camera.width), dtype=np.float32)
    around = np.zeros_like(depth)
    shifts = range(-_REACH, _REACH + 1)
    for dv, du in [(dv, du) for dv in shifts for du in shifts]:
        target = depth if dv == du == 0 else around
        at_u, at_v = columns + du, rows + dv
        inside = (at_u >= 0) & (at_v >= 0) & (at_u < camera.width) & (at_v < camera.height)
        plane = np.full_like(depth, np.inf)
        plane[at_v[inside], at_u[inside]] = z[inside]
        empty = (target == 0.0) | (plane < target)
        target[:] = np.where(empty & np.isfinite(plane), plane, target)
    gap = (around > 0.0) & ((depth == 0.0) | (depth > around * (1.0 + _GAP_STEP)))
    filled: npt.NDArray[np.float32] = np.where(gap, around, depth)
    return filled
