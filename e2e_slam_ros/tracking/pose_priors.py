"""Residuals of given poses in bundle adjustment: of a pose, and of the motion between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats

# 95 % of errors, three degrees of freedom.
_HUBER = 2.796


@dataclass(frozen=True, eq=False)
class PosePriors:
    """Given poses of some cameras, and given motions between some pairs.

    The residual of a pose is the twist of ``T_camera_map`` times the inverse of the given one,
    that of a motion the twist of ``T_first_map T_map_second`` times the inverse of the given one.
    Translation and rotation are weighed by Huber's estimator, each by itself.

    Attributes:
        camera: (P,) cameras with a given pose.
        T_camera_map: (P, 4, 4) these poses.
        sigma: (P, 6) standard deviations of their twists ``[rho, phi]``; infinite: not given.
        first, second: (Q,) cameras of each given motion.
        T_first_second: (Q, 4, 4) these motions.
        motion_sigma: (Q, 6) standard deviations of their twists.

    Example:
        The second camera is given 0.1 m to the right of the first:

        >>> T_first_second = np.eye(4)
        >>> T_first_second[0, 3] = 0.1
        >>> priors = PosePriors.none().with_motion(0, 1, T_first_second, np.full(6, 0.01))
        >>> residual = priors.residuals(np.stack([np.eye(4), np.eye(4)]))
        >>> residual.round(6).tolist()
        [[-10.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """

    camera: npt.NDArray[np.int64]
    T_camera_map: Floats
    sigma: Floats
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    T_first_second: Floats
    motion_sigma: Floats

    @staticmethod
    def none() -> PosePriors:
        """Return no priors."""
        nobody = np.zeros(0, np.int64)
        poses, sigmas = np.zeros((0, 4, 4)), np.zeros((0, 6))
        return PosePriors(nobody, poses, sigmas, nobody, nobody, poses, sigmas)

    def with_pose(self, camera: int, T_camera_map: Floats, sigma: Floats) -> PosePriors:
        """Return these priors and one given pose, with the (6,) sigma of its twist."""
        return PosePriors(
            np.append(self.camera, camera),
            np.concatenate([self.T_camera_map, T_camera_map[None]]),
            np.concatenate([self.sigma, sigma[None]]),
            self.first,
            self.second,
            self.T_first_second,
            self.motion_sigma,
        )

    def with_motion(
        self, first: int, second: int, T_first_second: Floats, sigma: Floats
    ) -> PosePriors:
        """Return these priors and one given motion, with the (6,) sigma of its twist."""
        return PosePriors(
            self.camera,
            self.T_camera_map,
            self.sigma,
            np.append(self.first, first),
            np.append(self.second, second),
            np.concatenate([self.T_first_second, T_first_second[None]]),
            np.concatenate([self.motion_sigma, sigma[None]]),
        )

    def residuals(self, T_camera_map: Floats) -> Floats:
        """Return the residuals (P + Q, 6) in standard deviations of all (C, 4, 4) cameras."""
        pose = T_camera_map[self.camera] @ rigid.inverse(self.T_camera_map)
        motion = T_camera_map[self.first] @ rigid.inverse(T_camera_map[self.second])
        error = np.concatenate([pose, motion @ rigid.inverse(self.T_first_second)])
        twists = np.array([rigid.log(T) for T in error]).reshape(-1, 6)
        return twists / np.concatenate([self.sigma, self.motion_sigma])

    def cost(self, T_camera_map: Floats) -> float:
        """Return the robust cost."""
        length = _lengths(self.residuals(T_camera_map))
        inside = length <= _HUBER
        return float(
            np.where(inside, length * length, 2.0 * _HUBER * length - _HUBER * _HUBER).sum()
        )

    def normal_equations(
        self, T_camera_map: Floats, free: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Return the normal matrix (6F, 6F) and gradient (6F,) of the F free cameras."""
        residual = self.residuals(T_camera_map)
        weight = np.minimum(1.0, _HUBER / np.maximum(_lengths(residual), 1e-12))
        root = np.sqrt(np.repeat(weight, 3, axis=1))
        inverse_sigma = 1.0 / np.concatenate([self.sigma, self.motion_sigma])
        slot = np.full(len(T_camera_map), -1)
        slot[free] = np.arange(int(free.sum()))
        count = len(self.camera)
        motion = T_camera_map[self.first] @ rigid.inverse(T_camera_map[self.second])
        jacobian = np.zeros((len(residual), 6, int(free.sum()), 6))
        own = np.concatenate([slot[self.camera], slot[self.first]])
        rows = np.flatnonzero(own >= 0)
        jacobian[rows, :, own[rows], :] = np.eye(6)
        other = slot[self.second]
        rows = np.flatnonzero(other >= 0)
        jacobian[count + rows, :, other[rows], :] = -rigid.adjoint(motion[rows])
        jacobian *= (inverse_sigma * root)[:, :, None, None]
        flat = jacobian.reshape(len(residual) * 6, -1)
        return flat.T @ flat, flat.T @ (residual * root).reshape(-1)


def _lengths(residual: Floats) -> Floats:
    """Return the lengths (N, 2) of translation and rotation."""
    return np.linalg.norm(residual.reshape(-1, 2, 3), axis=2)
