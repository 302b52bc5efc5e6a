"""Where the camera is while its tracker is still at work on an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.motion_model import MotionModel

Matrix = npt.NDArray[np.float64]
# Part of the mean error that is kept with each new one.
_KEPT = 0.8


class CarriedPose:
    """Carries the last tracked pose on: as the given poses move, or at constant velocity.

    Of the two ways the one is used that has been nearer to the tracked poses. Given poses with
    independent noise make poor motions, however good each single pose is.

    Example:
        >>> carried, given, found = CarriedPose(), np.eye(4), np.eye(4)
        >>> found[0, 3] = 0.1
        >>> carried.found(0, given, found)
        >>> given[1, 3] = 0.5
        >>> carried.at(33_000_000, given)[:3, 3].tolist()
        [0.1, 0.5, 0.0]
    """

    def __init__(self) -> None:
        self._motion = MotionModel()
        self._last: tuple[int, Matrix, Matrix] | None = None
        # Mean errors of both ways, metres at a distance of one metre: as given, steady.
        self._errors = np.zeros(2)

    def found(self, stamp_ns: int, given: Matrix, T_map_camera: Matrix) -> None:
        """Learn what the tracker found for an image.

        Args:
            stamp_ns: of the image.
            given: (4, 4) its given pose.
            T_map_camera: (4, 4) the tracked one.
        """
        if self._last is not None and stamp_ns > self._last[0]:
            ways = self._ways(stamp_ns, given, self._last)
            new = np.array([_distance(way, T_map_camera) for way in ways])
            self._errors = _KEPT * self._errors + (1.0 - _KEPT) * new
            motion = rigid.inverse(self._last[2]) @ T_map_camera
            self._motion.moved(motion, (stamp_ns - self._last[0]) * 1e-9)
        self._last = stamp_ns, given.copy(), T_map_camera.copy()

    def at(self, stamp_ns: int, given: Matrix) -> Matrix:
        """Return the pose (4, 4) at a later image with a given pose (4, 4)."""
        if self._last is None:
            return given
        as_given, steady = self._ways(stamp_ns, given, self._last)
        return rigid.orthonormal(as_given if self._errors[0] <= self._errors[1] else steady)

    def _ways(
        self, stamp_ns: int, given: Matrix, last: tuple[int, Matrix, Matrix]
    ) -> tuple[Matrix, Matrix]:
        steady = self._motion.predict(max(0.0, (stamp_ns - last[0]) * 1e-9))
        return last[2] @ rigid.inverse(last[1]) @ given, last[2] @ steady


def _distance(one: Matrix, other: Matrix) -> float:
    motion = rigid.inverse(one) @ other
    metres = float(np.linalg.norm(motion[:3, 3]))
    return metres + float(np.radians(rigid.angle_deg(motion)))
