"""Prediction of the camera's pose from its last motion."""

from __future__ import annotations

import numpy as np

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats

# After a gap this long the last velocity says nothing any more.
_LONGEST_S = 1.0


class MotionModel:
    """Constant velocity between images, in the camera's own frame.

    Example:
        >>> motion, T_before_now = MotionModel(), np.eye(4)
        >>> T_before_now[0, 3] = 0.1
        >>> motion.moved(T_before_now, seconds=0.1)
        >>> motion.predict(0.2)[:3, 3].round(6).tolist()
        [0.2, 0.0, 0.0]
    """

    def __init__(self) -> None:
        self._twist: Floats = np.zeros(6)

    def reset(self) -> None:
        """Assume that the camera stands still."""
        self._twist = np.zeros(6)

    def moved(self, T_before_now: Floats, seconds: float) -> None:
        """Set the velocity from the motion (4, 4) between the last two images."""
        self._twist = rigid.log(T_before_now) / max(seconds, 1e-3)

    def predict(self, seconds: float) -> Floats:
        """Return the expected motion T_before_now (4, 4) after some seconds."""
        if seconds > _LONGEST_S:
            return np.eye(4)
        return rigid.exp(self._twist * seconds)

    @property
    def turning(self) -> Floats:
        """(3,) angular velocity in the camera's own frame, rad/s."""
        return self._twist[3:]
