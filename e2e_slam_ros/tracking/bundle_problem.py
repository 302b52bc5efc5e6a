"""A bundle adjustment that is to be done: cameras, landmarks and what was observed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.pose_priors import PosePriors
from e2e_slam_ros.tracking.rigid import Floats

# Depths of one image whose common scale can be told; relative sigma of measured depth.
_FEWEST_DEPTHS, _MEASURED = 10, 0.05
# A network's depth next to given poses. Its common scale is taken off by the map as it is, so many
# pixels of it hold the map's metre where it is: without a factor about as firmly as the poses of
# the first twenty keyframes. What is left of it holds landmarks that no parallax places.
_LESS_CERTAIN = 12.0


@dataclass(frozen=True, eq=False)
class BundleProblem:
    """C cameras, L landmarks and M observations.

    Attributes:
        T_camera_map: (C, 4, 4).
        free: (C,) bool, cameras that may move.
        points: (L, 3) metres.
        camera_of: (M,) camera of each observation.
        point_of: (M,) landmark of each observation; no pair of the two occurs twice.
        pixels: (M, 2) ideal pixels.
        inverse_depth: (M,) measured 1/z; NaN for none.
        inverse_depth_sigma: (M,) its standard deviation.
        focal, centre: (2,) of all cameras, pixels.
        pixel_sigma: standard deviation of a pixel.
        row_slope: (M, 2) change of an ideal pixel per second of the shutter's readout time; None
            where the readout time is known.
        priors: given poses of cameras; None for none.
        whitener: (M, 2, 2) that turns pixel errors into those across and along edges; None: all
            are corners.

    Example:
        Two cameras see the same points. The second stands 0.1 m to the left of the first, and its
        pose is not known yet:

        >>> from e2e_slam_ros.tracking.bundle import adjust
        >>> points = np.array([[x, y, 2.0 + x * y] for x in (-0.5, 0.0, 0.5) for y in (-0.4, 0.4)])
        >>> local = np.concatenate([points, points + [0.1, 0.0, 0.0]])
        >>> problem = BundleProblem(
        ...     T_camera_map=np.stack([np.eye(4), np.eye(4)]),
        ...     free=np.array([False, True]),
        ...     points=points,
        ...     camera_of=np.repeat([0, 1], 6),
        ...     point_of=np.tile(np.arange(6), 2),
        ...     pixels=100.0 * local[:, :2] / local[:, 2:] + 50.0,
        ...     inverse_depth=1.0 / local[:, 2],
        ...     inverse_depth_sigma=np.full(12, 0.001),
        ...     focal=np.array([100.0, 100.0]),
        ...     centre=np.array([50.0, 50.0]),
        ...     pixel_sigma=0.5,
        ... )
        >>> round(float(adjust(problem).T_camera_map[1, 0, 3]), 3)
        0.1
    """

    T_camera_map: Floats
    free: npt.NDArray[np.bool_]
    points: Floats
    camera_of: npt.NDArray[np.int64]
    point_of: npt.NDArray[np.int64]
    pixels: Floats
    inverse_depth: Floats
    inverse_depth_sigma: Floats
    focal: Floats
    centre: Floats
    pixel_sigma: float
    row_slope: Floats | None = None
    priors: PosePriors | None = None
    whitener: Floats | None = None


def shapes_alone(problem: BundleProblem, held: npt.NDArray[np.bool_]) -> BundleProblem:
    """Take the scale off unmeasured depth of cameras (C,) whose metre is given otherwise.

    What a network's depth image has in common, over the map as it is, is not a measurement.
    """
    T = problem.T_camera_map[problem.camera_of]
    z = (T[:, 2, :3] * problem.points[problem.point_of]).sum(1) + T[:, 2, 3]
    ratio = z * problem.inverse_depth
    factor = np.ones(len(z))
    for camera in np.flatnonzero(held).tolist():
        rows = (problem.camera_of == camera) & np.isfinite(ratio) & (z > 0.0)
        certain = problem.inverse_depth_sigma[rows] / problem.inverse_depth[rows]
        if rows.sum() < _FEWEST_DEPTHS or np.median(certain) < _MEASURED:
            continue
        factor[rows] = np.median(ratio[rows])
    return replace(
        problem,
        inverse_depth=problem.inverse_depth / factor,
        inverse_depth_sigma=problem.inverse_depth_sigma / factor * _LESS_CERTAIN,
    )
