"""Focal length and rolling shutter of keyframes, corrected by images and given poses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, LensCorrection
from e2e_slam_ros.depth.source import DepthTraits
from e2e_slam_ros.geometry.rolling_shutter import unrolled
from e2e_slam_ros.slam.result import PoseFacts
from e2e_slam_ros.tracking.given_lens import GivenLens, LensFit

# A focal length counts when it is this certain, and this far from the stated one: in standard
# deviations and as a share. Later fits replace it when they differ by the last share.
_FOCAL_SIGMA, _SIGNIFICANT, _LEAST_FOCAL, _FOCAL_STEP = 0.003, 2.5, 0.003, 0.002
# A calibration as wrong as this is not corrected: something else is wrong.
_MOST_FOCAL = 0.1
# The same of the readout time, seconds; cameras read an image in this time at most.
_READOUT_SIGMA_S, _LEAST_READOUT_S, _READOUT_STEP_S, _MOST_READOUT_S = 0.0025, 0.005, 0.0015, 0.05


class LensCorrector:
    """Decides which focal length and readout time keyframes have, and applies them.

    Args:
        learns_focal, learns_readout: whether they follow the images. False for both: keyframes
            stay as they are.
        readout_s: readout time to begin with, seconds.

    Attributes:
        focal_factor: focal length in use over the stated one.
        readout_s: readout time in use, seconds.

    Example:
        >>> corrector = LensCorrector()
        >>> corrector.decide(LensFit(0.99, 0.001, readout_s=0.010, readout_sigma_s=0.001))
        True
        >>> corrector.focal_factor, corrector.readout_s
        (0.99, 0.01)
    """

    def __init__(
        self, learns_focal: bool = True, learns_readout: bool = True, readout_s: float = 0.0
    ) -> None:
        self._learns_focal, self._learns_readout = learns_focal, learns_readout
        self._first_readout_s = readout_s
        self._given = GivenLens()
        self.reset()

    def reset(self) -> None:
        """Forget what was learned."""
        self._given.reset()
        self.focal_factor, self.readout_s = 1.0, self._first_readout_s
        self._told = False

    def observe(
        self, frame: Frame, turning: npt.NDArray[np.float64], poses: PoseFacts | None
    ) -> bool:
        """Learn from a keyframe's frame at its pose; return whether anything changed.

        Args:
            frame: with its pose.
            turning: (3,) angular velocity of the camera, rad/s.
            poses: how they come about; None: they are given.
        """
        if not (self._learns_focal or self._learns_readout):
            return False
        if poses is None or poses.poses == "given":
            self._given.observe(frame, turning)
            fit = self._given.fit
            return fit is not None and self.decide(fit)
        # The tracker knows the shutter; what images and its poses agree on is not news.
        before = self.readout_s
        if self._learns_readout and abs(poses.readout_s - before) > _READOUT_STEP_S:
            self.readout_s = max(0.0, poses.readout_s)
        return before != self.readout_s

    def decide(self, fit: LensFit) -> bool:
        """Take over what is certain enough of a fit; return whether anything changed."""
        before = self.focal_factor, self.readout_s
        if self._learns_focal and self._focal_counts(fit):
            self.focal_factor = fit.focal_factor
        if self._learns_readout and self._readout_counts(fit):
            self.readout_s = fit.readout_s
        return before != (self.focal_factor, self.readout_s)

    def _focal_counts(self, fit: LensFit) -> bool:
        off = abs(math.log(fit.focal_factor))
        if fit.focal_sigma > _FOCAL_SIGMA or off > _MOST_FOCAL:
            return False
        if self.focal_factor == 1.0:
            return off > max(_LEAST_FOCAL, _SIGNIFICANT * fit.focal_sigma)
        return abs(math.log(fit.focal_factor / self.focal_factor)) > _FOCAL_STEP

    def _readout_counts(self, fit: LensFit) -> bool:
        if fit.readout_sigma_s > _READOUT_SIGMA_S or not 0.0 <= fit.readout_s <= _MOST_READOUT_S:
            return False
        if self.readout_s == 0.0:
            return fit.readout_s > max(_LEAST_READOUT_S, _SIGNIFICANT * fit.readout_sigma_s)
        return abs(fit.readout_s - self.readout_s) > _READOUT_STEP_S

    def notice(self) -> str | None:
        """Return a sentence for the user after the first change of the focal length; else None."""
        if self._told or self.focal_factor == 1.0:
            return None
        self._told = True
        share = 100.0 * (self.focal_factor - 1.0)
        return (
            f"images and given poses fit a focal length {abs(share):.1f} % "
            f"{'shorter' if share < 0.0 else 'longer'} than the stated one: keyframes use it "
            "(calibrate the camera, or camera.correct_focal: false)"
        )

    def corrected(
        self, keyframe: Keyframe, turning: npt.NDArray[np.float64] | None = None
    ) -> Keyframe:
        """Return a keyframe with the focal length and the shutter in use.

        Args:
            keyframe: maybe corrected before.
            turning: (3,) angular velocity of the camera, rad/s; None: as it was corrected with.
        """
        lens, camera = keyframe.lens, keyframe.stated_camera.scaled_focal(self.focal_factor)
        if turning is None:
            turning = lens.turning
            if (keyframe.camera, lens.readout_s) == (camera, self.readout_s):
                return keyframe
        image, more_s = keyframe.image, self.readout_s - lens.readout_s
        if more_s != 0.0:
            image = unrolled(image, camera, turning, more_s)
        lens = LensCorrection(keyframe.stated_camera, self.readout_s, turning)
        return replace(keyframe, image=image, camera=camera, lens=lens)


def build_lens_corrector(config: Config, traits: DepthTraits) -> LensCorrector:
    """Return the corrector of a configuration.

    Measured depth is registered with the stated focal length, and with the rows as they are.
    """
    camera = config.camera
    if traits.needs_sensor or not camera.undistort:
        return LensCorrector(learns_focal=False, learns_readout=False)
    readout_s = config.tracking.readout_s
    return LensCorrector(camera.correct_focal, readout_s < 0.0, max(0.0, readout_s))
