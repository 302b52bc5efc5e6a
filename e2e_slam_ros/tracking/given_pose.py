"""Poses that something else measured, and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats


@dataclass(frozen=True)
class PoseSigma:
    """Standard deviations of given poses, per axis.

    Attributes:
        position_m, rotation_rad: of a pose in the map; infinite where given poses drift.
        motion_m, motion_rad: of the motion between two poses, constant part.
        motion_share: part of the motion's that grows with its length and its angle.

    Example:
        >>> sigma = PoseSigma(0.05, 0.02, motion_m=0.01, motion_rad=0.005, motion_share=0.02)
        >>> T_first_second = np.eye(4)
        >>> T_first_second[0, 3] = 0.5
        >>> sigma.of_motion(T_first_second).round(4).tolist()
        [0.0141, 0.0141, 0.0141, 0.005, 0.005, 0.005]
    """

    position_m: float = np.inf
    rotation_rad: float = np.inf
    motion_m: float = 0.01
    motion_rad: float = 0.005
    motion_share: float = 0.02

    @property
    def of_pose(self) -> Floats:
        """(6,) standard deviations of a pose's twist ``[rho, phi]``."""
        return np.repeat([self.position_m, self.rotation_rad], 3)

    def of_motion(self, T_first_second: Floats) -> Floats:
        """Return (6,) standard deviations of the twist of a motion (4, 4)."""
        metres = self.motion_share * float(np.linalg.norm(T_first_second[:3, 3]))
        turn = rigid.rotation_vector(T_first_second[:3, :3])
        radians = self.motion_share * float(np.linalg.norm(turn))
        return np.repeat([np.hypot(self.motion_m, metres), np.hypot(self.motion_rad, radians)], 3)


@dataclass(frozen=True, eq=False)
class GivenPose:
    """A camera pose from elsewhere.

    Attributes:
        T_map_camera: (4, 4), in the map.
        sigma: how far it can be trusted.

    Example:
        >>> given = GivenPose(np.eye(4), PoseSigma())
        >>> given.sigma.position_m
        inf
    """

    T_map_camera: Floats
    sigma: PoseSigma
