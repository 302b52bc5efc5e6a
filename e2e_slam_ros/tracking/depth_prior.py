"""Depth of corners from a depth image, each with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

# Neighbours that a sample is compared with, pixels of the depth image.
_RADIUS = 2
# Share of the neighbours that must be valid.
_LEAST_VALID = 0.5


@dataclass(frozen=True, eq=False)
class DepthImage:
    """Depth of one keyframe.

    Attributes:
        values: (H, W) float32, z in metres, 0 = none.
        camera: intrinsics of the values; may be distorted, and of another size than the image.
        relative_sigma: standard deviation over depth.
        constant_sigma_m: constant part of the standard deviation, metres.

    Example:
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> depth = DepthImage(np.full((6, 8), 2.0, np.float32), camera, relative_sigma=0.1)
        >>> inverse, sigma = depth.sample(Lens(camera), np.array([[4.0, 3.0]]))
        >>> inverse.round(6).tolist(), sigma.round(6).tolist()
        ([0.5], [0.05])
    """

    values: npt.NDArray[np.float32]
    camera: PinholeCamera
    relative_sigma: float
    constant_sigma_m: float = 0.0

    def sample(self, lens: Lens, pixels: Floats) -> tuple[Floats, Floats]:
        """Return 1/z and its standard deviation at ideal pixels (N, 2) of another camera.

        At the edge of an object a corner has two depths. The nearer one counts, because the edge
        belongs to the nearer surface. The spread adds to the uncertainty.

        Args:
            lens: of the camera that the pixels belong to; both cameras have the same centre.
            pixels: (N, 2).

        Returns:
            (N,) and (N,), 1/metres; NaN and infinity where there is no depth.
        """
        own = Lens(self.camera)
        ideal = (pixels - lens.centre) / lens.focal * own.focal + own.centre
        at = own.recorded(ideal)
        finite = np.isfinite(at).all(1) & own.inside(at)
        columns, rows = np.round(np.where(finite[:, None], at, 0.0)).astype(int).T
        steps = np.arange(-_RADIUS, _RADIUS + 1)
        rows = np.clip(rows[:, None, None] + steps[:, None], 0, self.values.shape[0] - 1)
        columns = np.clip(columns[:, None, None] + steps, 0, self.values.shape[1] - 1)
        around = self.values[rows, columns].reshape(len(pixels), len(steps) ** 2)
        valid = np.isfinite(around) & (around > 0)
        enough = finite & (valid.mean(1) >= _LEAST_VALID)
        # Missing samples sort last, so a percentile of the valid ones is among the first.
        ordered = np.sort(np.where(valid, around, np.inf).astype(np.float64), axis=1)
        ordered[~enough] = 1.0
        last = np.where(enough, valid.sum(1), 1) - 1
        row = np.arange(len(pixels))
        near, middle, far = (ordered[row, (share * last).astype(int)] for share in (0.2, 0.5, 0.8))
        edge = (far - near) > 0.1 * middle
        depth = np.where(edge, near, middle)
        sigma = self.constant_sigma_m + self.relative_sigma * depth + 0.5 * (far - near)
        inverse = np.where(enough, 1.0 / depth, np.nan)
        return inverse, np.where(enough, sigma / depth**2, np.inf)
