"""How long a rolling shutter takes from the first row to the last, learned from the images.

Rows of a turning camera are taken at different attitudes. Taken for one attitude, they bend the
image as a wrong motion would. The size of the bend is proportional to the readout time, so one
more unknown in the fit of each pose measures it (compare Oth et al., "Rolling Shutter Camera
Calibration", CVPR 2013, which fits a trajectory offline).
"""

from __future__ import annotations

import numpy as np

from e2e_slam_ros.tracking.absolute_pose import Sightings, linearised
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

LONGEST_S = 0.05
_STEP_S = 1e-3
_LEAST_TURNING = 0.2  # rad/s
_GATE = 15.0  # standard deviations of a pixel
# Images that make one step. A step is too small at first, because the map was made with the
# old estimate and hides part of the error; so no average over all images, but steps.
_FRAMES = 8
_LEAST_SIGMA_S = 1e-3
# Uncertainty of the estimate at the start, of one step, and gained between steps, seconds: the
# first step counts fully, later ones a fifth.
_PRIOR_S, _NOISE_S, _WALK_S = 0.02, 0.002, 0.0004


class ShutterEstimate:
    """The running estimate of one camera's readout time.

    Attributes:
        readout_s: the estimate in use, seconds.
    """

    def __init__(self) -> None:
        self.readout_s = 0.0
        self._information = 0.0
        self._weighted = 0.0
        self._frames = 0
        self._variance = _PRIOR_S**2

    def learn(
        self,
        points: Floats,
        recorded: Floats,
        turning: Floats,
        T_camera_map: Floats,
        lens: Lens,
        pixel_sigma: float,
    ) -> bool:
        """Take one image into account; return whether the estimate in use has changed.

        Args:
            points: (N, 3) landmarks in the map.
            recorded: (N, 2) pixels they are seen at.
            turning: (3,) angular velocity in the camera's frame, rad/s.
            T_camera_map: the image's pose.
            lens: with the readout time the pose was found with.
            pixel_sigma: standard deviation of a pixel.
        """
        if float(np.linalg.norm(turning)) < _LEAST_TURNING or len(points) < 30:
            return False
        ideal = lens.ideal(recorded, turning)
        more = Lens(lens.camera, lens.readout_s + _STEP_S)
        more.share_table(lens)
        slope = -(more.ideal(recorded, turning) - ideal) / (_STEP_S * pixel_sigma)
        nothing = np.full(len(points), np.nan)
        residual, jacobian = linearised(
            Sightings(points, ideal, nothing, nothing), lens, T_camera_map, pixel_sigma
        )
        near = np.linalg.norm(residual[:, :2], axis=1) < _GATE
        near &= np.isfinite(slope).all(1)
        if near.sum() < 30:
            return False
        weight = 1.0 / (1.0 + (residual[near, :2] ** 2).sum(1) / 9.0)
        full = np.concatenate([jacobian[near, :2], slope[near][..., None]], axis=2)
        normal = np.einsum("nri,n,nrj->ij", full, weight, full)
        right = np.einsum("nri,n,nr->i", full, weight, residual[near, :2])
        step = -np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(7), right)[6]
        information = normal[6, 6] - normal[6, :6] @ np.linalg.solve(
            normal[:6, :6] + 1e-9 * np.trace(normal) * np.eye(6), normal[:6, 6]
        )
        self._information += information
        self._weighted += information * step
        self._frames += 1
        if self._frames < _FRAMES or self._information < 1.0 / _LEAST_SIGMA_S**2:
            return False
        mean = self._weighted / self._information
        self._variance += _WALK_S**2
        gain = self._variance / (self._variance + _NOISE_S**2)
        self._variance *= 1.0 - gain
        self._information, self._weighted, self._frames = 0.0, 0.0, 0
        before = self.readout_s
        self.readout_s = float(np.clip(before + gain * mean, 0.0, LONGEST_S))
        return self.readout_s != before
