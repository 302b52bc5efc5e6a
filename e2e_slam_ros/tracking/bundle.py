"""Bundle adjustment: poses and landmarks that agree best with all observations.

Levenberg-Marquardt with the landmarks eliminated (Schur complement; Triggs et al., "Bundle
Adjustment - A Modern Synthesis", 2000), written for a window of a few dozen keyframes: all
observations are linearised in one batch and the landmark-camera blocks are one dense array.
Residuals of an observation: the two of its pixel, and one of its inverse depth where depth was
measured, which acts like a second camera beside the first (virtual stereo: Mur-Artal and Tardos,
T-RO 2017). Both are weighed by Huber's estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats

_HUBER = 2.447  # 95 % of pixel errors, two degrees of freedom
_HUBER_DEPTH = 1.96
_NEAREST_M = 1e-2
_BEHIND = 1e3
_FIRST_DAMPING = 1e-4
_LEAST_GAIN = 1e-4
_MOST_DAMPING = 1e8


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
    """

    T_camera_map: Floats
    points: Floats
    pixel_error: Floats
    depth_error: Floats
    cost_before: float
    cost: float
    steps: int


def adjust(problem: BundleProblem, iterations: int = 8) -> BundleSolution:
    """Return the poses and points of least robust cost found in ``iterations`` steps."""
    T, points = problem.T_camera_map.copy(), problem.points.copy()
    residual = _residuals(problem, T, points)[0]
    cost_before = cost = _cost(residual)
    damping, steps = _FIRST_DAMPING, 0
    normal: _NormalEquations | None = None
    for _ in range(iterations):
        normal = normal or _NormalEquations(problem, T, points)
        delta_camera, delta_point = normal.solve(damping)
        new_T, new_points = T.copy(), points + delta_point
        new_T[problem.free] = rigid.exp(delta_camera) @ T[problem.free]
        new_residual = _residuals(problem, new_T, new_points)[0]
        new_cost = _cost(new_residual)
        if not new_cost < cost:
            damping *= 10.0
            if damping > _MOST_DAMPING:
                break
            continue
        gain = (cost - new_cost) / max(cost, 1e-12)
        T, points, residual, cost = new_T, new_points, new_residual, new_cost
        damping, normal, steps = max(damping / 5.0, 1e-9), None, steps + 1
        if gain < _LEAST_GAIN:
            break
    return BundleSolution(
        T, points, np.linalg.norm(residual[:, :2], axis=1), residual[:, 2], cost_before, cost, steps
    )


def _residuals(
    problem: BundleProblem, T_camera_map: Floats, points: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return residuals (M, 3) in standard deviations, points in their cameras, and which lie behind."""
    T = T_camera_map[problem.camera_of]
    local = (T[:, :3, :3] @ points[problem.point_of][..., None])[..., 0] + T[:, :3, 3]
    behind = local[:, 2] < _NEAREST_M
    inverse = 1.0 / np.where(behind, 1.0, local[:, 2])
    residual = np.empty((len(local), 3))
    uv = local[:, :2] * inverse[:, None] * problem.focal + problem.centre
    residual[:, :2] = (uv - problem.pixels) / problem.pixel_sigma
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


class _NormalEquations:
    """The linearised problem at one estimate, to be solved with several dampings."""

    def __init__(self, problem: BundleProblem, T_camera_map: Floats, points: Floats) -> None:
        residual, local, behind = _residuals(problem, T_camera_map, points)
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
        self._cross = np.zeros((self._count, 3, self._free, 6))
        self._cross[point, :, camera, :] = transposed[moving] @ to_camera

    def solve(self, damping: float) -> tuple[Floats, Floats]:
        """Return the steps (F, 6) of the free cameras and (L, 3) of the points."""
        diagonal = np.arange(3)
        block = self._point_block.copy()
        block[:, diagonal, diagonal] *= 1.0 + damping
        block[:, diagonal, diagonal] += 1e-9
        inverse = np.linalg.inv(block)
        size = self._free * 6
        cross = self._cross.reshape(self._count, 3, size)
        eliminated = inverse @ cross
        flat, flat_eliminated = cross.reshape(-1, size), eliminated.reshape(-1, size)
        reduced = -(flat.T @ flat_eliminated)
        view = reduced.reshape(self._free, 6, self._free, 6)
        six = np.arange(6)
        camera = self._camera_block.copy()
        camera[:, six, six] *= 1.0 + damping
        camera[:, six, six] += 1e-9
        each = np.arange(self._free)
        view[each, :, each, :] += camera
        gradient = self._camera_gradient.reshape(-1) - flat_eliminated.T @ (
            self._point_gradient.reshape(-1)
        )
        delta_camera = -np.linalg.solve(reduced, gradient)
        right = self._point_gradient + cross @ delta_camera
        return delta_camera.reshape(-1, 6), -(inverse @ right[..., None])[..., 0]


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
    by_local[:, 2, 2] = np.where(measured, -inverse**2 / problem.inverse_depth_sigma, 0.0)
    by_local[behind] = 0.0
    # d(exp(xi) p)/d(xi) = [I, -hat(p)]
    to_camera = np.concatenate([by_local, -(by_local @ rigid.hat(local))], axis=2)
    return to_camera, by_local @ T_camera_map[problem.camera_of][:, :3, :3]
