"""The pinhole camera: intrinsics that stay right when the image is resized."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config.errors import CameraError

# A telescope and the widest lens that is still drawn as a pinhole.
_NARROWEST_DEG, _WIDEST_DEG = 5.0, 175.0
# A principal point may be so far outside the image, in image sizes: images are cropped.
_OUTSIDE = 0.5


@dataclass(frozen=True)
class PinholeCamera:
    """Pinhole intrinsics, pixels at integer centres (first pixel centre at 0, 0).

    >>> camera = PinholeCamera(width=640, height=480, fx=500.0, fy=500.0, cx=319.5, cy=239.5)
    >>> half = camera.resized(320, 240)
    >>> half.fx, half.cx
    (250.0, 159.5)

    Args:
        width, height: image size in pixels.
        fx, fy: focal lengths in pixels, positive.
        cx, cy: principal point in pixels.
        distortion: radial-tangential ("plumb_bob") coefficients ``(k1, k2, p1, p2, k3)``;
            empty when the image has none.

    Raises:
        CameraError: a size below 1, a value not finite, a field of view outside 5 to 175 degrees,
            or a principal point farther from the image than half its size. A narrow strip of an
            image may be narrow in one direction.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if self.width < 1 or self.height < 1 or not all(math.isfinite(v) for v in values):
            raise CameraError.from_parts(
                "camera", self, "a size of at least 1x1 and finite values", "check camera_info"
            )
        if self.fx <= 0 or self.fy <= 0:
            raise CameraError.from_parts(
                "camera",
                f"fx={self.fx}, fy={self.fy}",
                "positive focal lengths in pixels",
                "calibrate the camera; a K of zeros means camera_info was never filled in",
            )
        self._check_view()
        if len(self.distortion) not in (0, 4, 5):
            raise CameraError.from_parts(
                "distortion",
                f"{len(self.distortion)} coefficients",
                "0, 4 or 5 (k1, k2, p1, p2[, k3])",
                "use the plumb_bob model or rectify the image first",
            )

    def _check_view(self) -> None:
        """Refuse what no lens shows: its points would be far away, or not numbers."""
        sizes, centres = (self.width, self.height), (self.cx, self.cy)
        angles = [
            2.0 * math.degrees(math.atan2(size, 2.0 * focal))
            for size, focal in zip(sizes, (self.fx, self.fy), strict=True)
        ]
        if max(angles) < _NARROWEST_DEG or max(angles) > _WIDEST_DEG:
            raise CameraError.from_parts(
                "camera",
                f"a field of view of {angles[0]:.3g} x {angles[1]:.3g} degrees "
                f"(fx={self.fx:g}, fy={self.fy:g} at {self.width}x{self.height})",
                f"{_NARROWEST_DEG:g} to {_WIDEST_DEG:g} degrees",
                "give focal lengths in pixels, for the size of the image",
            )
        if any(
            not -_OUTSIDE * size - 1.0 <= centre <= (1.0 + _OUTSIDE) * size + 1.0
            for size, centre in zip(sizes, centres, strict=True)
        ):
            raise CameraError.from_parts(
                "camera",
                f"a principal point at ({self.cx:g}, {self.cy:g})",
                f"one near the image of {self.width}x{self.height} pixels",
                "give it in pixels, for the size of the image",
            )

    @property
    def is_distorted(self) -> bool:
        """True when any distortion coefficient is non-zero."""
        return any(c != 0.0 for c in self.distortion)

    def matrix(
        self,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> torch.Tensor:
        """Return K, shape (3, 3)."""
        rows = [[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]]
        return torch.tensor(rows, device=device, dtype=dtype)

    def resized(self, width: int, height: int) -> PinholeCamera:
        """Return the camera of the same view sampled at another size.

        Pixel *areas* are scaled, so centres move by half a pixel:
        ``cx' = (cx + 0.5) * s - 0.5``, which is what area and bilinear
        (``align_corners=False``) resizing do to the image.
        """
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def scaled_focal(self, factor: float) -> PinholeCamera:
        """Return the camera with both focal lengths times a positive factor."""
        return self if factor == 1.0 else replace(self, fx=self.fx * factor, fy=self.fy * factor)

    def undistorted(self) -> PinholeCamera:
        """Return the same pinhole without distortion (`Undistorter` renders its images)."""
        return replace(self, distortion=())
