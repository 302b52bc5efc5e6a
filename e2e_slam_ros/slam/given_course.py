"""The course of given poses: jumps, and poses that stand still while the picture moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.image_agreement import MotionCheck
from e2e_slam_ros.tracking.motion_model import MotionModel

Matrix = npt.NDArray[np.float64]

# Motion under which given poses stand still, and flow over which the picture moves.
_STILL_M, _STILL_DEG, _MOVING_PX = 1e-4, 0.01, 4.0
# So many pairs in a row.
_STUCK = 5


class GivenCourse:
    """Watches given poses, and joins them to the map again after they were off course.

    Args:
        jump_m: a step aside by more than this is a jump, metres.

    Attributes:
        T_map_given: (4, 4), from the frame of the given poses to the map.
        is_trusted: whether the last given pose may be used.

    Example:
        >>> course, there = GivenCourse(jump_m=0.5), np.eye(4)
        >>> check = MotionCheck(error_px=80.0, flow_px=1.0)
        >>> course.follow(0, np.eye(4), None, limit_px=2.0)
        ''
        >>> there[0, 3] = 2.0
        >>> course.is_odd(100_000_000, there)
        True
        >>> course.follow(100_000_000, there, check, limit_px=2.0)[:28]
        'given poses jumped by 2.00 m'
        >>> course.is_trusted
        False
        >>> course.join(np.eye(4), there)
        >>> float((course.T_map_given @ there)[0, 3]), course.is_trusted
        (0.0, True)
    """

    def __init__(self, jump_m: float) -> None:
        self._jump_m = jump_m
        self.reset()

    def reset(self) -> None:
        """Forget the course; the given frame is the map's again."""
        self.T_map_given: Matrix = np.eye(4)
        self.is_trusted = True
        self._motion = MotionModel()
        self._last: tuple[int, Matrix] | None = None
        self._stuck = 0

    def is_odd(self, stamp_ns: int, given: Matrix) -> bool:
        """Whether the next given pose (4, 4) jumps or stands still: images must say which."""
        if self._last is None or not stamp_ns > self._last[0]:
            return False
        motion, aside = self._motions(stamp_ns, given, self._last)
        return float(np.linalg.norm(aside[:3, 3])) > self._jump_m or _stands(motion)

    def _motions(
        self, stamp_ns: int, given: Matrix, last: tuple[int, Matrix]
    ) -> tuple[Matrix, Matrix]:
        """Return the motion since the last pose, and what of it was not to be expected."""
        motion = rigid.inverse(last[1]) @ given
        expected = self._motion.predict((stamp_ns - last[0]) * 1e-9)
        return motion, rigid.inverse(expected) @ motion

    def follow(
        self, stamp_ns: int, given: Matrix, check: MotionCheck | None, limit_px: float
    ) -> str:
        """Judge the next given pose (4, 4); return a sentence where something is odd, or ''.

        Args:
            stamp_ns: image time.
            given: as it came.
            check: of the images against it, if there is one; needed where the pose `is_odd`.
            limit_px: error from which on images disagree.
        """
        last, self._last = self._last, (stamp_ns, given)
        if last is None or not stamp_ns > last[0]:
            return ""
        seconds = (stamp_ns - last[0]) * 1e-9
        motion, aside = self._motions(stamp_ns, given, last)
        self.is_trusted = self._stuck < _STUCK
        if check is None:
            self._motion.moved(motion, seconds)
            if not _stands(motion):
                self._stuck, self.is_trusted = 0, True
            return ""
        jump_m = float(np.linalg.norm(aside[:3, 3]))
        if jump_m > self._jump_m and check.error_px > limit_px:
            self.is_trusted = False
            # What moved was not the camera, which goes on as before.
            steady = last[1] @ self._motion.predict(seconds)
            self.T_map_given = self.T_map_given @ steady @ rigid.inverse(given)
            return (
                f"given poses jumped by {jump_m:.2f} m between two images that do not show it: "
                "the map follows the images (check what publishes the pose, or pose.jump_m)"
            )
        self._motion.moved(motion, seconds)
        return self._watch_still(motion, check)

    def join(self, T_map_camera: Matrix, given: Matrix) -> None:
        """Set ``T_map_given`` from a pose in the map that images found, and the given one."""
        self.T_map_given = T_map_camera @ rigid.inverse(given)
        if self._stuck < _STUCK:
            self.is_trusted = True

    def _watch_still(self, motion: Matrix, check: MotionCheck) -> str:
        if not _stands(motion):
            self._stuck = 0
        elif check.flow_px > _MOVING_PX:
            self._stuck += 1
        self.is_trusted = self._stuck < _STUCK
        if self._stuck == _STUCK and check.flow_px > _MOVING_PX:
            self._stuck += 1
            return (
                "given poses stand still while the picture moves: they are not used until they "
                "move (check the odometry, or set pose.source: visual)"
            )
        return ""


def _stands(motion: Matrix) -> bool:
    metres = float(np.linalg.norm(motion[:3, 3]))
    return metres < _STILL_M and rigid.angle_deg(motion) < _STILL_DEG
