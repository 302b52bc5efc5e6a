"""Triangulation of points from two rays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

_LEAST_ANGLE_DEG = 1.5
_FARTHEST_PX = 2.0


def triangulate(
    first: Floats, second: Floats, T_map_first: Floats, T_map_second: Floats, lens: Lens
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the points that two cameras see, and which of them are reliable.

    A point is the midpoint of the shortest segment between its two rays. It is reliable where the
    rays cross at 1.5 degrees or more in front of both cameras, and its projection lies within 2
    pixels in both images.

    Args:
        first, second: (N, 2) ideal pixels of the same points.
        T_map_first, T_map_second: (N, 4, 4) or (4, 4) poses of the cameras.
        lens: of both.

    Returns:
        (N, 3) points in the map and (N,) bool.
    """
    count = len(first)
    T1 = np.broadcast_to(T_map_first, (count, 4, 4))
    T2 = np.broadcast_to(T_map_second, (count, 4, 4))
    d1 = np.einsum("nij,nj->ni", T1[:, :3, :3], lens.rays(first))
    d2 = np.einsum("nij,nj->ni", T2[:, :3, :3], lens.rays(second))
    d1 /= np.linalg.norm(d1, axis=1, keepdims=True)
    d2 /= np.linalg.norm(d2, axis=1, keepdims=True)
    baseline = T2[:, :3, 3] - T1[:, :3, 3]
    cosine = (d1 * d2).sum(1)
    sine2 = np.maximum(1.0 - cosine**2, 1e-12)
    along1, along2 = (baseline * d1).sum(1), (baseline * d2).sum(1)
    s = (along1 - cosine * along2) / sine2
    t = (cosine * along1 - along2) / sine2
    points = 0.5 * (T1[:, :3, 3] + s[:, None] * d1 + T2[:, :3, 3] + t[:, None] * d2)
    good = (s > 0) & (t > 0) & (sine2 > np.sin(np.radians(_LEAST_ANGLE_DEG)) ** 2)
    for T, pixels in ((T1, first), (T2, second)):
        inverse = rigid.inverse(T)
        local = (inverse[:, :3, :3] @ points[..., None])[..., 0] + inverse[:, :3, 3]
        with np.errstate(invalid="ignore"):
            good &= np.linalg.norm(lens.project(local) - pixels, axis=1) < _FARTHEST_PX
    return points, good
