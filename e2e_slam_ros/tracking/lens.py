"""Conversion between recorded pixels and pixels of the ideal pinhole.

The tracker follows corners in the recorded image. It undistorts only their coordinates, which is
cheap and does not blur the image.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking.rigid import Floats

_NEAREST_M = 1e-3
# Patches reach this far over the edge of the image.
_MARGIN_PX = 8.0
_STEP_S = 1e-3
_INVERSIONS, _INVERTED_PX = 25, 0.02
_CELL_PX = 4


class Lens:
    """Projection of one camera.

    Args:
        camera: intrinsics and distortion of the tracked images.
        readout_s: time from the first row of an image to its last (rolling shutter), seconds;
            0 where all rows are taken at once. The stamp is that of the middle row.

    Example:
        >>> lens = Lens(PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5))
        >>> lens.project(np.array([[0.5, 0.0, 2.0]])).tolist()
        [[44.0, 23.5]]
        >>> lens.rays(np.array([[44.0, 23.5]])).tolist()
        [[0.25, 0.0, 1.0]]
    """

    def __init__(self, camera: PinholeCamera, readout_s: float = 0.0) -> None:
        self.camera = camera
        self.readout_s = readout_s
        self.focal = np.array([camera.fx, camera.fy])
        self.centre = np.array([camera.cx, camera.cy])
        k1, k2, p1, p2, k3 = (*camera.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
        self._coefficients = (k1, k2, p1, p2, k3)

    def ideal(self, recorded: Floats, turning: Floats | None = None) -> Floats:
        """Return the ideal pixels (N, 2) of recorded ones; NaN where the lens model folds.

        Args:
            recorded: (N, 2).
            turning: (3,) angular velocity of the camera in its own frame, rad/s. With it, the
                result is that of a camera that takes all rows at the image's stamp.
        """
        straight = self._without_distortion(recorded)
        if turning is None or self.readout_s == 0.0:
            return straight
        return self._turned(straight, turning, self._row_time(recorded))

    def _without_distortion(self, recorded: Floats) -> Floats:
        if not self.camera.is_distorted or not len(recorded):
            return np.asarray(recorded, dtype=np.float64)
        recorded = np.asarray(recorded, dtype=np.float64)
        u, v = recorded.astype(np.float32).reshape(-1, 1, 2).transpose(2, 0, 1)
        bend = cv2.remap(self._bend, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        result = recorded + np.asarray(bend, dtype=np.float64).reshape(recorded.shape)
        result[~self.inside(recorded, -_MARGIN_PX)] = np.nan
        return result

    @cached_property
    def _bend(self) -> npt.NDArray[np.float32]:
        """Ideal minus recorded pixel (H, W, 2) of every pixel.

        It is smooth, so a table will do, and one point for each 4x4 pixels: 0.005 pixels off
        with the distortion of freiburg1. A table of all pixels takes 0.7 s, on the first image.
        """
        rows, columns = (-(-side // _CELL_PX) for side in (self.camera.height, self.camera.width))
        # One cell more on each side: no pixel lies beyond the outermost centres.
        v, u = np.indices((rows + 2, columns + 2), dtype=np.float64) * _CELL_PX
        pixels = np.stack([u, v], axis=-1) - 0.5 * (_CELL_PX + 1)
        ideal = pixels.copy()
        # Fixed point: what the lens adds at the estimate is taken off the recorded pixel. It
        # contracts wherever the lens model is one-to-one and not extreme.
        with np.errstate(all="ignore"):  # it flies apart where the model folds back on itself
            for _ in range(_INVERSIONS):
                ideal += pixels - self._with_distortion(ideal)
            error = np.linalg.norm(pixels - self._with_distortion(ideal), axis=-1)
            ideal[~(error < _INVERTED_PX)] = np.nan
        size = ((columns + 2) * _CELL_PX, (rows + 2) * _CELL_PX)
        bend = cv2.resize((ideal - pixels).astype(np.float32), size)
        inside = slice(_CELL_PX, _CELL_PX + self.camera.height)
        return np.ascontiguousarray(bend[inside, _CELL_PX : _CELL_PX + self.camera.width])

    def recorded(self, ideal: Floats, turning: Floats | None = None) -> Floats:
        """Return the recorded pixels (N, 2) of ideal ones; the inverse of `ideal`."""
        bent = self._with_distortion(ideal)
        if turning is None or self.readout_s == 0.0:
            return bent
        for _ in range(2):  # the row a point falls on depends on when it is seen, and vice versa
            bent = self._with_distortion(self._turned(ideal, -turning, self._row_time(bent)))
        return bent

    def row_slope(self, recorded: Floats, ideal: Floats, turning: Floats) -> Floats:
        """Return the change of ideal pixels (N, 2) per second of readout time."""
        share = (recorded[..., 1] + 0.5) / self.camera.height - 0.5
        return (self._turned(ideal, turning, share * _STEP_S) - ideal) / _STEP_S

    def _row_time(self, recorded: Floats) -> Floats:
        """Return the time of each pixel's row, seconds after the stamp."""
        share = (recorded[..., 1] + 0.5) / self.camera.height - 0.5
        return np.asarray(self.readout_s * np.clip(share, -0.6, 0.6))

    def _turned(self, ideal: Floats, turning: Floats, seconds: Floats) -> Floats:
        """Return the ideal pixels after the camera has turned by ``turning * -seconds``."""
        rays = self.rays(ideal)
        phi = seconds[..., None] * turning
        # Small angles: exp(phi) r = r + phi x r + phi x (phi x r) / 2.
        first = _cross(phi, rays)
        return self.project(rays + first + 0.5 * _cross(phi, first))

    def _with_distortion(self, ideal: Floats) -> Floats:
        if not self.camera.is_distorted:
            return ideal
        k1, k2, p1, p2, k3 = self._coefficients
        normalised = (ideal - self.centre) / self.focal
        x, y = normalised[..., 0], normalised[..., 1]
        r2 = x * x + y * y
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        v = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
        return np.stack([u, v], axis=-1) * self.focal + self.centre

    def rays(self, ideal: Floats) -> Floats:
        """Return the rays (N, 3) with z = 1 through ideal pixels."""
        xy = (ideal - self.centre) / self.focal
        return np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)

    def project(self, points: Floats) -> Floats:
        """Return the ideal pixels (N, 2) of points (N, 3) in the camera; NaN behind it."""
        z = points[..., 2:]
        ahead = np.where(z > _NEAREST_M, z, np.nan)
        return np.asarray(points[..., :2] / ahead * self.focal + self.centre)

    def inside(self, recorded: Floats, border: float = 0.0) -> np.ndarray:
        """Return a mask (N,) of the recorded pixels ``border`` or more pixels inside the edge."""
        u, v = recorded[..., 0], recorded[..., 1]
        right, bottom = self.camera.width - 1 - border, self.camera.height - 1 - border
        with np.errstate(invalid="ignore"):
            return np.asarray((u >= border) & (v >= border) & (u <= right) & (v <= bottom))


def _cross(a: Floats, b: Floats) -> Floats:
    """Return ``a x b`` (N, 3); NumPy's own spends most of its time on checks."""
    result = np.empty(b.shape)
    result[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    result[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    result[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return result
