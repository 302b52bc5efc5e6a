"""Radial-tangential ("plumb_bob") lens distortion, and images without it.

Brown, "Decentering Distortion of Lenses", 1966; coefficients in ROS order k1 k2 p1 p2 k3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.geometry.sampling import inside, sample_bilinear, sample_nearest

# Newton's method doubles the digits a step; these reach the last one from anywhere in an image.
_NEWTON_STEPS = 10


class Undistorter:
    """Renders images of a distorted camera as its pinhole sees them.

    The sampling grid is computed once. ``valid`` (1, 1, H, W) bool marks the output pixels that
    come from inside the image and from where the distortion model is one-to-one. The others are
    0.

    >>> camera = PinholeCamera(8, 6, 6.0, 6.0, 3.5, 2.5, distortion=(0.2, 0.0, 0.0, 0.0))
    >>> straight = Undistorter(camera)
    >>> image = straight(torch.ones(1, 3, 6, 8))
    >>> image.shape, bool((image[:, :1][straight.valid] == 1).all())
    (torch.Size([1, 3, 6, 8]), True)

    Args:
        camera: with its distortion; images must have its size.
        device: where images live.
    """

    def __init__(self, camera: PinholeCamera, device: torch.device | str = "cpu") -> None:
        self.camera = camera
        rays = pixel_rays(camera.height, camera.width, camera.matrix(dtype=torch.float64))[:, :2]
        straight = rays.movedim(1, -1)
        bent = distort_points(straight, camera.distortion).movedim(-1, 1)
        focal = torch.tensor([camera.fx, camera.fy], dtype=torch.float64).reshape(1, 2, 1, 1)
        centre = torch.tensor([camera.cx, camera.cy], dtype=torch.float64).reshape(1, 2, 1, 1)
        uv = bent * focal + centre
        one_to_one = (rays * rays).sum(1, keepdim=True) < _radius_limit(camera.distortion)
        valid = inside(uv, camera.height, camera.width) & one_to_one
        self.valid = valid.to(device)
        self._uv = torch.where(valid, uv, torch.zeros_like(uv)).to(device, torch.float32)

    def __call__(
        self, image: torch.Tensor, mode: Literal["bilinear", "nearest"] = "bilinear"
    ) -> torch.Tensor:
        """Return the image of ``camera.undistorted()``, same size; 0 where not `valid`.

        Args:
            image: (1, C, H, W); floating point for bilinear, any dtype for nearest.
            mode: nearest for depth, which must not be mixed across edges.

        Raises:
            CameraError: the image has another size than the camera.
        """
        size = (self.camera.height, self.camera.width)
        if image.dim() != 4 or tuple(image.shape[-2:]) != size:
            raise CameraError.from_parts(
                "image to undistort",
                f"shape {tuple(image.shape)}",
                f"(1, C, {size[0]}, {size[1]})",
                "give each image size its own camera",
            )
        if not self.camera.is_distorted:
            return image
        sample = sample_bilinear if mode == "bilinear" else sample_nearest
        sampled = sample(image, self._uv.expand(image.shape[0], -1, -1, -1))
        return torch.where(self.valid, sampled, torch.zeros_like(sampled))


def distort_points(points: torch.Tensor, distortion: Sequence[float]) -> torch.Tensor:
    """Return where a lens puts ideal points.

    Args:
        points: (..., 2), normalised image coordinates x/z, y/z.
        distortion: k1, k2, p1, p2[, k3]; empty for none.

    Returns:
        (..., 2), normalised, distorted.
    """
    k1, k2, p1, p2, k3 = _coefficients(distortion)
    x, y = points.unbind(-1)
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return torch.stack([bent_x, bent_y], dim=-1)


def undistort_points(points: torch.Tensor, distortion: Sequence[float]) -> torch.Tensor:
    """Return the ideal points of distorted ones: the inverse of `distort_points`.

    Newton's method with the exact Jacobian, started at the distorted point.

    Args:
        points: (..., 2), normalised image coordinates, distorted.
        distortion: k1, k2, p1, p2[, k3]; empty for none.

    Returns:
        (..., 2); NaN where no ideal point within the model's one-to-one range maps there.
    """
    if not any(distortion):
        return points
    k1, k2, p1, p2, k3 = _coefficients(distortion)
    ideal = points
    for _ in range(_NEWTON_STEPS):
        x, y = ideal.unbind(-1)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)
        xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
        xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
        dx, dy = (distort_points(ideal, distortion) - points).unbind(-1)
        determinant = xx * yy - xy * xy
        step = torch.stack([yy * dx - xy * dy, xx * dy - xy * dx], dim=-1)
        ideal = ideal - step / determinant.unsqueeze(-1)
    error = (distort_points(ideal, distortion) - points).norm(dim=-1, keepdim=True)
    limit = _radius_limit(distortion)
    found = (error < 1e-5) & ((ideal * ideal).sum(-1, keepdim=True) < limit)
    return torch.where(found, ideal, torch.full_like(ideal, torch.nan))


def _coefficients(distortion: Sequence[float]) -> tuple[float, float, float, float, float]:
    k1, k2, p1, p2, k3 = (*distortion, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
    return k1, k2, p1, p2, k3


def _radius_limit(distortion: Sequence[float]) -> float:
    """Return the squared radius beyond which the radial model folds back on itself."""
    k1, k2, _, _, k3 = _coefficients(distortion)
    # d(r radial)/dr = 1 + 3 k1 s + 5 k2 s^2 + 7 k3 s^3 with s = r^2, written in q = 1 / s: the
    # leading coefficient is then 1, and no coefficient is too small to divide by.
    roots = np.roots([1.0, 3 * k1, 5 * k2, 7 * k3])
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 1e-300)]
    return float(1.0 / real.max()) if real.size else float("inf")
