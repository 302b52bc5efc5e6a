"""Bundle adjustment: the poses and landmarks that fit all observations best.

Levenberg-Marquardt on the `NormalEquations`, written for a window of a few dozen keyframes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle_problem import BundleProblem
from e2e_slam_ros.tracking.bundle_residuals import residuals, robust_cost
from e2e_slam_ros.tracking.normal_equations import NormalEquations
from e2e_slam_ros.tracking.rigid import Floats

_FIRST_DAMPING = 1e-4
_LEAST_GAIN = 1e-4
_MOST_DAMPING = 1e8


@dataclass(frozen=True, eq=False)
class BundleSolution:
    """The adjusted problem.

    Attributes:
        T_camera_map: (C, 4, 4).
        points: (L, 3).
        pixel_error: (M,) length of each pixel residual, in standard deviations.
        cost_before, cost: the robust cost.
        steps: accepted steps.
        readout_change_s: change of the readout time, seconds.
        readout_sigma_s: its standard deviation; infinite where the problem has no ``row_slope``.
        information: (6 F, 6 F) inverse covariance of the F free cameras' twists ``[rho, phi]``,
            ``exp(twist) T_camera_map``, landmarks eliminated; one row and column more for the
            readout time where the problem has a ``row_slope``.

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
    cost_before: float
    cost: float
    steps: int
    readout_change_s: float
    readout_sigma_s: float
    information: Floats

    @property
    def pose_covariance(self) -> Floats:
        """The covariance (6 F, 6 F) of the free cameras' twists, metres and radians."""
        cameras = len(self.information) // 6 * 6
        inverse = np.linalg.pinv(self.information, hermitian=True)
        return np.asarray(inverse[:cameras, :cameras], dtype=np.float64)


def adjust(problem: BundleProblem, iterations: int = 8) -> BundleSolution:
    """Return the poses and points of least robust cost found in ``iterations`` steps."""
    T, points = problem.T_camera_map.copy(), problem.points.copy()
    shift, sigma = 0.0, np.inf
    information = np.zeros((6 * int(problem.free.sum()),) * 2)
    residual = residuals(problem, T, points, shift)[0]
    cost_before = cost = robust_cost(residual) + _prior_cost(problem, T)
    damping, steps = _FIRST_DAMPING, 0
    normal: NormalEquations | None = None
    for _ in range(iterations):
        normal = normal or NormalEquations(problem, T, points, shift)
        delta_camera, delta_point, delta_shift, sigma = normal.solve(damping)
        information = normal.information
        new_T, new_points = T.copy(), points + delta_point
        new_T[problem.free] = rigid.exp(delta_camera) @ T[problem.free]
        new_shift = shift + delta_shift
        new_residual = residuals(problem, new_T, new_points, new_shift)[0]
        new_cost = robust_cost(new_residual) + _prior_cost(problem, new_T)
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
    return BundleSolution(
        T_camera_map=T,
        points=points,
        pixel_error=np.linalg.norm(residual[:, :2], axis=1),
        cost_before=cost_before,
        cost=cost,
        steps=steps,
        readout_change_s=shift,
        readout_sigma_s=float(sigma),
        information=information,
    )


def _prior_cost(problem: BundleProblem, T_camera_map: Floats) -> float:
    return 0.0 if problem.priors is None else problem.priors.cost(T_camera_map)
