"""Residuals of a bundle problem, their derivatives, and Huber's estimator.

Residuals of an observation: the two of its pixel, and one of the logarithm of its depth where
depth was measured. For a sensor's small errors the latter acts like a second camera beside the
first (virtual stereo: Mur-Artal and Tardos, T-RO 2017). For a network's large ones, half the
depth is as wrong as twice the depth; an inverse depth could go to 0 at hardly any cost. Huber's
estimator weighs both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle_problem import BundleProblem
from e2e_slam_ros.tracking.rigid import Floats

_HUBER = 2.447  # 95 % of pixel errors, two degrees of freedom
_HUBER_DEPTH = 1.96
_NEAREST_M = 1e-2
_BEHIND = 1e3


def residuals(
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
    if problem.whitener is not None:
        residual[:, :2] = (problem.whitener @ residual[:, :2, None])[..., 0]
    measured = np.isfinite(problem.inverse_depth)
    given, sigma = problem.inverse_depth, problem.inverse_depth_sigma
    error = np.log(inverse / np.where(measured, given, 1.0)) * given / sigma
    residual[:, 2] = np.where(measured, error, 0.0)
    residual[behind] = _BEHIND, 0.0, 0.0
    return residual, local, behind


def jacobians(
    problem: BundleProblem, T_camera_map: Floats, local: Floats, behind: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return derivatives (M, 3, 6) by the camera's twist and (M, 3, 3) by the point."""
    inverse = 1.0 / np.where(behind, 1.0, local[:, 2])
    x, y = local[:, 0] * inverse, local[:, 1] * inverse
    fx, fy = problem.focal / problem.pixel_sigma
    by_local = np.zeros((len(local), 3, 3))
    by_local[:, 0, 0], by_local[:, 0, 2] = fx * inverse, -fx * x * inverse
    by_local[:, 1, 1], by_local[:, 1, 2] = fy * inverse, -fy * y * inverse
    if problem.whitener is not None:
        by_local[:, :2] = problem.whitener @ by_local[:, :2]
    measured = np.isfinite(problem.inverse_depth)
    relative_sigma = problem.inverse_depth_sigma / problem.inverse_depth
    by_local[:, 2, 2] = np.where(measured, -inverse / relative_sigma, 0.0)
    by_local[behind] = 0.0
    # d(exp(xi) p)/d(xi) = [I, -hat(p)]
    to_camera = np.concatenate([by_local, -(by_local @ rigid.hat(local))], axis=2)
    return to_camera, by_local @ T_camera_map[problem.camera_of][:, :3, :3]


def robust_weights(residual: Floats) -> Floats:
    """Return Huber's weight of each residual (M, 3); both of a pixel get the same."""
    pixel = np.linalg.norm(residual[:, :2], axis=1)
    weight = np.ones_like(residual)
    weight[:, :2] = np.minimum(1.0, _HUBER / np.maximum(pixel, 1e-12))[:, None]
    weight[:, 2] = np.minimum(1.0, _HUBER_DEPTH / np.maximum(np.abs(residual[:, 2]), 1e-12))
    return weight


def _huber_cost(error: Floats, width: float) -> Floats:
    return np.where(error <= width, error * error, 2.0 * width * error - width * width)


def robust_cost(residual: Floats) -> float:
    """Return the sum of Huber's cost of the residuals (M, 3)."""
    pixel = np.linalg.norm(residual[:, :2], axis=1)
    depth = np.abs(residual[:, 2])
    return float(_huber_cost(pixel, _HUBER).sum() + _huber_cost(depth, _HUBER_DEPTH).sum())
