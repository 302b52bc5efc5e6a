"""Whether the images fit the stated focal length: a calibration of another camera shows here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.bundle_problem import BundleProblem

# Step of the logarithm of the focal length, and steps of adjustment at each.
_STEP, _ITERATIONS = 0.06, 5
_FARTHEST = 0.5
# Fits that must agree before the calibration is doubted, and their least distance from 1.
_FITS, _LEAST = 4, 0.05
_SIGNIFICANT = 5.0


@dataclass(frozen=True)
class FocalFit:
    """The focal length that fits a window of keyframes best.

    Attributes:
        factor: best over stated focal length.
        sigma: its standard deviation.

    Example:
        >>> FocalFit(factor=1.12, sigma=0.01).is_off
        True
    """

    factor: float
    sigma: float

    @property
    def is_off(self) -> bool:
        """Whether the stated focal length is wrong by more than 5 %, significantly."""
        off = abs(np.log(self.factor))
        return bool(off > np.log1p(_LEAST) and off > _SIGNIFICANT * self.sigma)


def fit_focal(problem: BundleProblem) -> FocalFit | None:
    """Return the focal length of least robust cost; None where the cost does not tell.

    The window is adjusted at the stated focal length and at some shorter and longer ones. A
    parabola through the three least costs has its minimum at the best one.

    Args:
        problem: with measured depth or with given poses: images alone say little of the focal
            length.
    """
    costs: dict[int, float] = {}

    def cost(steps: int) -> float:
        if steps not in costs:
            scaled = replace(problem, focal=problem.focal * np.exp(steps * _STEP))
            costs[steps] = adjust(scaled, _ITERATIONS).cost
        return costs[steps]

    # Far from the minimum the robust cost is no parabola: go there first.
    middle = 0
    while min(cost(middle - 1), cost(middle + 1)) < cost(middle):
        middle += 1 if cost(middle + 1) < cost(middle - 1) else -1
        if abs(middle) * _STEP > _FARTHEST:
            return None
    shorter, stated, longer = cost(middle - 1), cost(middle), cost(middle + 1)
    curvature = shorter - 2.0 * stated + longer
    if not curvature > 0.0:
        return None
    best = _STEP * (middle + 0.5 * (shorter - longer) / curvature)
    # The cost is a sum of squares over variances: it rises by 1 at one standard deviation.
    sigma = _STEP * np.sqrt(2.0 / curvature)
    # Residuals larger than their stated deviations make the estimate less certain.
    excess = max(1.0, stated / max(len(problem.camera_of), 1))
    return FocalFit(float(np.exp(best)), float(sigma * np.sqrt(excess)))


class FocalCheck:
    """Collects fits of the focal length; says once that the calibration seems wrong.

    Example:
        >>> check = FocalCheck()
        >>> said = [check.add(FocalFit(1.2, 0.01)) for _ in range(5)]
        >>> [bool(text) for text in said]
        [False, False, False, True, False]
    """

    def __init__(self) -> None:
        self._fits: deque[FocalFit] = deque(maxlen=_FITS)
        self._said = False

    def add(self, fit: FocalFit | None) -> str:
        """Include a fit; return a warning where several in a row agree, else ''."""
        if fit is None or self._said:
            return ""
        self._fits.append(fit)
        factors = np.array([one.factor for one in self._fits])
        same_side = (factors > 1.0).all() or (factors < 1.0).all()
        if len(factors) < _FITS or not same_side or not all(one.is_off for one in self._fits):
            return ""
        self._said = True
        factor = float(np.median(factors))
        return (
            f"calibration: the images fit a focal length {factor:.2f} times the stated one; "
            "check camera_info: it may be another camera's, or of another image size"
        )
