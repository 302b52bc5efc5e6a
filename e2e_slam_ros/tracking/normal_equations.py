"""Normal equations of bundle adjustment, solved with the landmarks eliminated.

The elimination is the Schur complement (Triggs et al., "Bundle Adjustment - A Modern Synthesis",
2000).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.bundle_problem import BundleProblem
from e2e_slam_ros.tracking.bundle_residuals import jacobians, residuals, robust_weights
from e2e_slam_ros.tracking.cross_block import as_dense, cross_block, times_blocks
from e2e_slam_ros.tracking.rigid import Floats

# Standard deviation of the readout time before a window is looked at, seconds.
_READOUT_PRIOR_S = 0.02


class NormalEquations:
    """The linearised problem at one estimate, to be solved with several dampings.

    All observations are linearised in one batch; the landmark-camera blocks are one array.

    Args:
        problem: with F free cameras.
        T_camera_map: (C, 4, 4) present poses.
        points: (L, 3) present landmarks, metres.
        shift: present change of the readout time, seconds.

    Example:
        Two cameras see three points with depth; the second is 1 cm off:

        >>> points = np.array([[0.0, 0.0, 2.0], [0.5, 0.0, 2.0], [0.0, 0.5, 3.0]])
        >>> poses = np.stack([np.eye(4), np.eye(4)])
        >>> poses[1, 0, 3] = 0.01
        >>> problem = BundleProblem(
        ...     T_camera_map=poses,
        ...     free=np.array([False, True]),
        ...     points=points,
        ...     camera_of=np.repeat([0, 1], 3),
        ...     point_of=np.tile(np.arange(3), 2),
        ...     pixels=np.tile(100.0 * points[:, :2] / points[:, 2:] + 50.0, (2, 1)),
        ...     inverse_depth=np.tile(1.0 / points[:, 2], 2),
        ...     inverse_depth_sigma=np.full(6, 0.001),
        ...     focal=np.array([100.0, 100.0]),
        ...     centre=np.array([50.0, 50.0]),
        ...     pixel_sigma=0.5,
        ... )
        >>> equations = NormalEquations(problem, poses, points, shift=0.0)
        >>> step = equations.solve(damping=1e-9)[0]
        >>> bool(np.allclose(step, [[-0.01, 0, 0, 0, 0, 0]], atol=1e-3))
        True
    """

    def __init__(
        self, problem: BundleProblem, T_camera_map: Floats, points: Floats, shift: float
    ) -> None:
        residual, local, behind = residuals(problem, T_camera_map, points, shift)
        to_camera, to_point = jacobians(problem, T_camera_map, local, behind)
        root = np.sqrt(robust_weights(residual))
        residual, to_point = residual * root, to_point * root[..., None]
        self._count = len(points)
        slot = np.full(len(T_camera_map), -1)
        slot[problem.free] = np.arange(int(problem.free.sum()))
        self._free = int(problem.free.sum())
        moving = slot[problem.camera_of] >= 0
        camera, point = slot[problem.camera_of][moving], problem.point_of[moving]
        to_camera = to_camera[moving] * root[moving, :, None]
        transposed = np.swapaxes(to_point, 1, 2)
        self._point_block = _sums(transposed @ to_point, problem.point_of, self._count)
        self._point_gradient = _sums(
            (transposed @ residual[..., None])[..., 0], problem.point_of, self._count
        )
        turned = np.swapaxes(to_camera, 1, 2)
        self._camera_block = _sums(turned @ to_camera, camera, self._free)
        self._camera_gradient = _sums(
            (turned @ residual[moving, :, None])[..., 0], camera, self._free
        )
        self._prior = None
        if problem.priors is not None:
            self._prior, gradient = problem.priors.normal_equations(T_camera_map, problem.free)
            self._camera_gradient = self._camera_gradient + gradient.reshape(-1, 6)
        # The shutter's readout time, where it is asked for, is one more column after the cameras'.
        self._size = 6 * self._free + (problem.row_slope is not None)
        self._cross = cross_block(
            transposed[moving] @ to_camera, point, camera, self._count, self._size
        )
        if problem.row_slope is not None:
            slope = np.zeros_like(residual)
            slope[:, :2] = -problem.row_slope / problem.pixel_sigma
            if problem.whitener is not None:
                slope[:, :2] = (problem.whitener @ slope[:, :2, None])[..., 0]
            slope = slope * root
            shift_by_point = _sums(
                (transposed @ slope[..., None])[..., 0], problem.point_of, self._count
            )
            self._cross[:, -1] = shift_by_point.reshape(-1)
            self._slope_camera = _sums(
                (turned @ slope[moving, :, None])[..., 0], camera, self._free
            ).reshape(-1)
            self._slope_block = float((slope * slope).sum()) + 1.0 / _READOUT_PRIOR_S**2
            self._slope_gradient = float((slope * residual).sum() + shift / _READOUT_PRIOR_S**2)

    def solve(self, damping: float) -> tuple[Floats, Floats, float, float]:
        """Return the steps of the free cameras (F, 6), the points (L, 3) and the readout time.

        The last value is the readout time's standard deviation.
        """
        block = self._point_block.copy()
        three = np.arange(3)
        block[:, three, three] *= 1.0 + damping
        block[:, three, three] += 1e-9
        inverse = np.linalg.inv(block)
        eliminated = times_blocks(inverse, self._cross)
        reduced = self._camera_side(damping) - as_dense(self._cross.T @ eliminated)
        gradient = self._camera_gradient.reshape(-1)
        if self._size > 6 * self._free:
            gradient = np.append(gradient, self._slope_gradient)
        gradient = gradient - eliminated.T @ self._point_gradient.reshape(-1)
        step = -np.linalg.solve(reduced, gradient)
        self._reduced = reduced
        right = self._point_gradient + (self._cross @ step).reshape(-1, 3)
        points = -(inverse @ right[..., None])[..., 0]
        cameras: Floats = np.asarray(step[: 6 * self._free].reshape(-1, 6), dtype=np.float64)
        if self._size == 6 * self._free:
            return cameras, points, 0.0, np.inf
        unit = np.zeros(self._size)
        unit[-1] = 1.0
        variance = float(np.linalg.solve(reduced, unit)[-1])
        return cameras, points, float(step[-1]), float(np.sqrt(max(variance, 0.0)))

    @property
    def information(self) -> Floats:
        """(6 F, 6 F) of the free cameras, as the last `solve` left it; see `BundleSolution`."""
        return self._reduced

    def _camera_side(self, damping: float) -> Floats:
        """Return the damped normal matrix of cameras and readout time before elimination."""
        result = np.zeros((self._size, self._size))
        cameras = 6 * self._free
        six, each = np.arange(6), np.arange(self._free)
        block = self._camera_block.copy()
        block[:, six, six] *= 1.0 + damping
        block[:, six, six] += 1e-9
        view = np.zeros((self._free, 6, self._free, 6))
        view[each, :, each, :] = block
        result[:cameras, :cameras] = view.reshape(cameras, cameras)
        if self._prior is not None:
            result[:cameras, :cameras] += self._prior
        if self._size > cameras:
            result[-1, :-1] = result[:-1, -1] = self._slope_camera
            result[-1, -1] = self._slope_block * (1.0 + damping)
        return result


def _sums(values: Floats, groups: npt.NDArray[np.int64], count: int) -> Floats:
    """Return the sums of ``values`` (M, ...) by group as (count, ...)."""
    result = np.zeros((count, *values.shape[1:]))
    if len(values):
        order = np.argsort(groups, kind="stable")
        ordered = groups[order]
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        result[ordered[first]] = np.add.reduceat(values[order], first, axis=0)
    return result
