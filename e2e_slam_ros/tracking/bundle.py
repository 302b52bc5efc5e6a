"""Bundle adjustment: the poses and landmarks that fit all observations best.

Levenberg-Marquardt with the landmarks eliminated (Schur complement; Triggs et al., "Bundle
Adjustment - A Modern Synthesis", 2000), written for a window of a few dozen keyframes: all
observations are linearised in one batch and the landmark-camera blocks are one dense array.
Residuals of an observation: the two of its pixel, and one of its inverse depth where depth was
measured. The latter acts like a second camera beside the first (virtual stereo: Mur-Artal and
Tardos, T-RO 2017). Huber's estimator weighs both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.cross_block import as_dense, cross_block, times_blocks
from e2e_slam_ros.tracking.pose_priors import PosePriors
from e2e_slam_ros.tracking.rigid import Floats

_HUBER = 2.447  # 95 % of pixel errors, two degrees of freedom
_HUBER_DEPTH = 1.96
_NEAREST_M = 1e-2
_BEHIND = 1e3
_FIRST_DAMPING = 1e-4
_LEAST_GAIN = 1e-4
_MOST_DAMPING = 1e8
# Standard deviation of the readout time before a window is looked at, seconds.
_READOUT_PRIOR_S = 0.02


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

    Example:
        Two cameras see the same points. The second stands 0.1 m to the left of the first, and its
        pose is not known yet:

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


@dataclass(frozen=True, eq=False)
class BundleSolution:
    """The adjusted problem.

    Attributes:
        T_camera_map: (C, 4, 4).
        points: (L, 3).
        pixel_error: (M,) length of each pixel residual, in standard deviations.
        depth_error: (M,) signed residual of inverse depth, in standard deviations; 0 for none.
        cost_before, cost: the robust cost.
        steps: accepted steps.
        readout_change_s: change of the readout time, seconds.
        readout_sigma_s: its standard deviation; infinite where the problem has no ``row_slope``.
        pose_sigma: (C, 2) standard deviations of each camera's position (metres) and rotation
            (radians): root of the mean variance of the axes; 0 for those that do not move.

    Example:
        A camera whose pose fits its only observation needs no step:

        >>> one = np.ones(1)
        >>> problem = BundleProblem(
        ...     T_camera_map=np.eye(4)[None],
        ...     free=np.array([True]),
        ...     points=np.array([[0.0, 0.0, 2.0]]),
        ...     camera_of=np.array([0]),
        ...     point_of=np.array([0]),
        ...     pixels=np.array([[50.0, 50.0]]),
        ...     inverse_depth=0.5 * one,
        ...     inverse_depth_sigma=0.01 * one,
        ...     focal=np.array([100.0, 100.0]),
        ...     centre=np.array([50.0, 50.0]),
        ...     pixel_sigma=0.5,
        ... )
        >>> solution = adjust(problem)
        >>> solution.cost, solution.steps, solution.readout_sigma_s
        (0.0, 0, inf)
    """

    T_camera_map: Floats
    points: Floats
    pixel_error: Floats
    depth_error: Floats
    cost_before: float
    cost: float
    steps: int
    readout_change_s: float
    readout_sigma_s: float
    pose_sigma: Floats


def adjust(problem: BundleProblem, iterations: int = 8) -> BundleSolution:
    """Return the poses and points of least robust cost found in ``iterations`` steps."""
    T, points = problem.T_camera_map.copy(), problem.points.copy()
    shift, sigma = 0.0, np.inf
    pose_sigma = np.zeros((int(problem.free.sum()), 2))
    residual = _residuals(problem, T, points, shift)[0]
    cost_before = cost = _cost(residual) + _prior_cost(problem, T)
    damping, steps = _FIRST_DAMPING, 0
    normal: _NormalEquations | None = None
    for _ in range(iterations):
        normal = normal or _NormalEquations(problem, T, points, shift)
        delta_camera, delta_point, delta_shift, sigma = normal.solve(damping)
        pose_sigma = normal.pose_sigma
        new_T, new_points = T.copy(), points + delta_point
        new_T[problem.free] = rigid.exp(delta_camera) @ T[problem.free]
        new_shift = shift + delta_shift
        new_residual = _residuals(problem, new_T, new_points, new_shift)[0]
        new_cost = _cost(new_residual) + _prior_cost(problem, new_T)
        if not new_cost < cost:
            damping *= 10.0
            if damping > _MOST_DAMPING:
                break
            continue
        gain = (cost - new_cost) / max(cost, 1e-12)
        T, points, residual, cost = new_T, new_points, new_residual, new_cost
        shift = new_shift
        damping, normal, steps = max(damping / 5.0, 1e-9), None, steps + 1
        if gain < _LEAST_GAIN:
            break
    every_sigma = np.zeros((len(T), 2))
    every_sigma[problem.free] = pose_sigma
    return BundleSolution(
        T_camera_map=T,
        points=points,
        pixel_error=np.linalg.norm(residual[:, :2], axis=1),
        depth_error=residual[:, 2],
        cost_before=cost_before,
        cost=cost,
        steps=steps,
        readout_change_s=shift,
        readout_sigma_s=float(sigma),
        pose_sigma=every_sigma,
    )


def _residuals(
    problem: BundleProblem, T_camera_map: Floats, points: Floats, shift: float
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return residuals (M, 3) in standard deviations, local points, and which lie behind."""
    T = T_camera_map[problem.camera_of]
    local = (T[:, :3, :3] @ points[problem.point_of][..., None])[..., 0] + T[:, :3, 3]
    behind = local[:, 2] < _NEAREST_M
    inverse = 1.0 / np.where(behind, 1.0, local[:, 2])
    residual = np.empty((len(local), 3))
    uv = local[:, :2] * inverse[:, None] * problem.focal + problem.centre
    pixels = problem.pixels
    if problem.row_slope is not None:
        pixels = pixels + shift * problem.row_slope
    residual[:, :2] = (uv - pixels) / problem.pixel_sigma
    measured = np.isfinite(problem.inverse_depth)
    error = (inverse - problem.inverse_depth) / problem.inverse_depth_sigma
    residual[:, 2] = np.where(measured, error, 0.0)
    residual[behind] = _BEHIND, 0.0, 0.0
    return residual, local, behind


def _huber_cost(error: Floats, width: float) -> Floats:
    return np.where(error <= width, error * error, 2.0 * width * error - width * width)


def _cost(residual: Floats) -> float:
    pixel = np.linalg.norm(residual[:, :2], axis=1)
    depth = np.abs(residual[:, 2])
    return float(_huber_cost(pixel, _HUBER).sum() + _huber_cost(depth, _HUBER_DEPTH).sum())


def _prior_cost(problem: BundleProblem, T_camera_map: Floats) -> float:
    return 0.0 if problem.priors is None else problem.priors.cost(T_camera_map)


class _NormalEquations:
    """The linearised problem at one estimate, to be solved with several dampings."""

    def __init__(
        self, problem: BundleProblem, T_camera_map: Floats, points: Floats, shift: float
    ) -> None:
        residual, local, behind = _residuals(problem, T_camera_map, points, shift)
        to_camera, to_point = _jacobians(problem, T_camera_map, local, behind)
        pixel = np.linalg.norm(residual[:, :2], axis=1)
        weight = np.ones_like(residual)
        weight[:, :2] = np.minimum(1.0, _HUBER / np.maximum(pixel, 1e-12))[:, None]
        weight[:, 2] = np.minimum(1.0, _HUBER_DEPTH / np.maximum(np.abs(residual[:, 2]), 1e-12))
        root = np.sqrt(weight)
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
    def pose_sigma(self) -> Floats:
        """(F, 2) standard deviations of position and rotation, as the last `solve` left them."""
        cameras = 6 * self._free
        variance = np.diag(np.linalg.pinv(self._reduced, hermitian=True))[:cameras]
        return np.sqrt(np.maximum(variance, 0.0).reshape(-1, 2, 3).mean(2))

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


def _jacobians(
    problem: BundleProblem, T_camera_map: Floats, local: Floats, behind: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return derivatives (M, 3, 6) by the camera's twist and (M, 3, 3) by the point."""
    inverse = 1.0 / np.where(behind, 1.0, local[:, 2])
    x, y = local[:, 0] * inverse, local[:, 1] * inverse
    fx, fy = problem.focal / problem.pixel_sigma
    by_local = np.zeros((len(local), 3, 3))
    by_local[:, 0, 0], by_local[:, 0, 2] = fx * inverse, -fx * x * inverse
    by_local[:, 1, 1], by_local[:, 1, 2] = fy * inverse, -fy * y * inverse
    measured = np.isfinite(problem.inverse_depth)
    by_local[:, 2, 2] = np.where(measured, -(inverse**2) / problem.inverse_depth_sigma, 0.0)
    by_local[behind] = 0.0
    # d(exp(xi) p)/d(xi) = [I, -hat(p)]
    to_camera = np.concatenate([by_local, -(by_local @ rigid.hat(local))], axis=2)
    return to_camera, by_local @ T_camera_map[problem.camera_of][:, :3, :3]
