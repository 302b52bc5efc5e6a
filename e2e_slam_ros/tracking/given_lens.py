"""The focal length and the readout time that images and given poses agree on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.image_agreement import followed_corners, reduced_grey
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

# Stated focal lengths are seldom farther off than this share, readout times seldom longer.
_USUAL = np.array([0.02, 0.02])
_STEPS = np.array([1e-3, 1e-3])
# Corners farther than this from their epipolar line are wrong ones; the error counts in full up
# to the second, pixels of the compared image.
_WRONG_PX, _HUBER_PX = 8.0, 0.5
# A pair whose median error is more than this share of the median flow has too noisy a pose: noise
# of rotations makes the focal length look shorter than it is.
_NOISY = 0.08
_FEWEST_PAIRS, _FEWEST_CORNERS = 12, 20
# The newest pairs count: focusing changes the focal length.
_KEPT_PAIRS = 200
_LONGEST_NS = 3_000_000_000


@dataclass(frozen=True)
class LensFit:
    """What images and given poses say about the camera.

    Attributes:
        focal_factor: best over stated focal length.
        focal_sigma: its standard deviation.
        readout_s: time from the first row of an image to its last (rolling shutter), seconds.
        readout_sigma_s: its standard deviation.

    Example:
        >>> LensFit(0.99, 0.001, 0.010, 0.001).readout_s
        0.01
    """

    focal_factor: float
    focal_sigma: float
    readout_s: float
    readout_sigma_s: float


@dataclass(frozen=True)
class _View:
    """An image (grey, reduced), its pose and angular velocity."""

    frame: Frame
    grey: Image
    turning: Floats


@dataclass(frozen=True)
class _Corners:
    """Corners (N, 2) of one image, ideal pixels; the share (N, 1) of the readout of their rows."""

    ideal: Floats
    row: Floats
    turning: Floats


class GivenLens:
    """Estimates focal length and readout time from corners between images with given poses.

    When a camera turns, corners move in proportion to its focal length, and rows taken later see
    it turned farther. Where it also moves, a corner must lie on its epipolar line. The distance
    from that line is minimised over all pairs of images (Huber's weights, one Gauss-Newton step a
    pair). The corners of a pair share the error of their poses, so standard deviations are those
    of pairs and not of corners (sandwich estimate: White, Econometrica 1980). Neither landmarks
    nor depth are needed.

    Example:
        >>> from e2e_slam_ros.simulation import ProceduralReader
        >>> lens = GivenLens()
        >>> for frame in ProceduralReader(0, 3, 160, 120, texture_size=256):
        ...     lens.observe(frame, np.zeros(3))
        >>> lens.fit is None  # too few pairs
        True
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the images and what was learned from them."""
        self._last: _View | None = None
        self._camera: PinholeCamera | None = None
        self._forget_pairs()

    def _forget_pairs(self) -> None:
        # Normal equation H x = b of each pair, x = (log of the focal factor, readout time).
        self._h: deque[Floats] = deque(maxlen=_KEPT_PAIRS)
        self._b: deque[Floats] = deque(maxlen=_KEPT_PAIRS)

    @property
    def fit(self) -> LensFit | None:
        """The values that fit best; None after too few pairs."""
        if len(self._h) < _FEWEST_PAIRS:
            return None
        x, inverse = self._solved()
        left = np.stack(self._b) - np.stack(self._h) @ x
        sigma = np.sqrt(np.diag(inverse @ (left.T @ left) @ inverse))
        return LensFit(float(np.exp(x[0])), float(sigma[0]), float(x[1]), float(sigma[1]))

    def _solved(self) -> tuple[Floats, Floats]:
        """Return the estimate (2,) and the inverse (2, 2) of the information."""
        usual = np.diag(_HUBER_PX**2 / _USUAL**2)
        inverse = np.asarray(np.linalg.inv(sum(self._h, usual)), dtype=np.float64)
        return np.asarray(inverse @ sum(self._b, np.zeros(2))), inverse

    def observe(self, frame: Frame, turning: Floats) -> None:
        """Compare a frame with the one before.

        Args:
            frame: with its pose.
            turning: (3,) angular velocity of the camera in its own frame, rad/s.
        """
        now = _View(frame, reduced_grey(frame.image), turning)
        last, self._last = self._last, now
        if frame.camera != self._camera:
            self._camera = frame.camera
            self._lens = Lens(frame.camera.resized(now.grey.shape[1], now.grey.shape[0]))
            self._forget_pairs()
            return
        if last is None or not 0 < frame.stamp_ns - last.frame.stamp_ns < _LONGEST_NS:
            return
        assert frame.T_map_camera is not None and last.frame.T_map_camera is not None
        motion = rigid.inverse(frame.T_map_camera) @ last.frame.T_map_camera
        found = followed_corners(self._lens, last.grey, now.grey, motion)
        if found is not None:
            self._add(self._corners(found[0], last), self._corners(found[1], now), motion)

    def _corners(self, recorded: Floats, view: _View) -> _Corners:
        row = (recorded[:, 1:] + 0.5) / view.grey.shape[0] - 0.5
        return _Corners(self._lens.ideal(recorded), row, view.turning)

    def _add(self, before: _Corners, now: _Corners, T_now_before: Floats) -> None:
        """Add the normal equation of one pair, linearised at the present estimate."""
        x = self._solved()[0]

        def error(at: Floats) -> Floats:
            far = self._rays(before, at) @ T_now_before[:3, :3].T
            line = np.cross(T_now_before[:3, 3], far)
            across = np.linalg.norm(line[:, :2] / (self._lens.focal * np.exp(at[0])), axis=1)
            return np.asarray((line * self._rays(now, at)).sum(1) / np.maximum(across, 1e-12))

        start = error(x)
        steps = np.diag(_STEPS)
        slopes = np.stack([(error(x + s) - error(x - s)) / (2.0 * s.sum()) for s in steps], 1)
        good = np.isfinite(start) & np.isfinite(slopes).all(1) & (np.abs(start) < _WRONG_PX)
        if good.sum() < _FEWEST_CORNERS:
            return
        flow = np.linalg.norm((now.ideal - before.ideal)[good], axis=1)
        start, slopes = start[good], slopes[good]
        if np.median(np.abs(start)) > _NOISY * np.median(flow):
            return
        weighted = slopes / np.maximum(np.abs(start) / _HUBER_PX, 1.0)[:, None]
        self._h.append(weighted.T @ slopes)
        self._b.append(self._h[-1] @ x - weighted.T @ start)

    def _rays(self, corners: _Corners, x: Floats) -> Floats:
        """Return rays (N, 3) in the camera as it stood at the image's stamp."""
        xy = (corners.ideal - self._lens.centre) / (self._lens.focal * np.exp(x[0]))
        rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1)
        return np.asarray(rays + np.cross(x[1] * corners.row * corners.turning, rays))
