"""The z-buffer of the evaluation: which point a camera sees at each pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.geometry.camera import PinholeCamera

Array = npt.NDArray[np.float64]

_NEAREST_M = 0.05


def splat(
    points: Array, camera: PinholeCamera, size: npt.NDArray[np.int64] | int = 1
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Project points into a camera; at each pixel the nearest point wins.

    Args:
        points: (N, 3) in the camera frame (x right, y down, z forward), metres. Points nearer
            than 5 cm and points that are not finite are left out.
        camera: intrinsics; distortion is ignored.
        size: side of the square that a point covers, pixels; one for all or one a point, (N,).

    Returns:
        Depth z (H, W) float32 in metres, 0 where no point is; and the index of the point (H, W)
        int64, -1 where none is.
    """
    index = np.flatnonzero(np.isfinite(points).all(axis=1) & (points[:, 2] > _NEAREST_M))
    seen = points[index]
    z = seen[:, 2]
    sides = np.broadcast_to(np.asarray(size, np.int64), len(points))[index]
    focal, centre = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    corner = np.rint(seen[:, :2] / z[:, None] * focal + centre - (sides[:, None] - 1) / 2)
    near = (corner > -sides[:, None]).all(axis=1)
    near &= (corner < [camera.width, camera.height]).all(axis=1)
    # Far to near: of several values assigned to a pixel the last one stays.
    order = np.flatnonzero(near)[::-1]
    order = order[np.argsort(-z[order], kind="stable")]
    columns, rows = corner[order].astype(np.int64).T
    z, sides, index = z[order], sides[order], index[order]
    depth = np.full((camera.height, camera.width), np.inf)
    owner = np.full(depth.shape, -1, dtype=np.int64)
    largest = int(sides.max(initial=0))
    for dv, du in np.ndindex(largest, largest):
        u, v = columns + du, rows + dv
        inside = (sides > max(du, dv)) & (u >= 0) & (u < camera.width)
        inside &= (v >= 0) & (v < camera.height)
        layer = np.full(depth.shape, -1, dtype=np.int64)
        layer[v[inside], u[inside]] = np.flatnonzero(inside)
        nearer = (layer >= 0) & (z[layer] < depth)
        depth[nearer], owner[nearer] = z[layer[nearer]], index[layer[nearer]]
    return np.where(owner >= 0, depth, 0.0).astype(np.float32), owner
