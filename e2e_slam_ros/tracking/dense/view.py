"""One camera view as dense alignment uses it: grey image, depth, points and normals by level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.tracking.dense.plane_fit import PlaneFit, fit_planes, plane_normals

# Window of a plane, pixels. Coarser levels are averages already.
_WINDOW, _COARSE_WINDOW = 5, 3
_FEWEST_PIXELS = 12


@dataclass(frozen=True, eq=False)
class DenseView:
    """B views of one size; all tensors on one device and of one floating type.

    Attributes:
        grey: (B, 1, H, W) in [0, 1].
        inverse_depth: (B, 1, H, W) 1/metres, smoothed where a plane fits; 0 = unknown.
        points: (B, 3, H, W) metres, camera frame, 0 where unknown.
        normals: (B, 3, H, W) unit, towards the camera, 0 where unknown.
        intrinsics: (B, 3, 3) without distortion.
        planes: the plane around each pixel.

    Example:
        >>> K = torch.tensor([[20.0, 0.0, 15.5], [0.0, 20.0, 11.5], [0.0, 0.0, 1.0]])
        >>> wall = torch.full((1, 1, 24, 32), 2.0)
        >>> view = DenseView.from_images(torch.zeros_like(wall), wall, K)
        >>> float(view.normals[0, 2, 12, 16]), int(view.has_normal.sum())
        (-1.0, 768)
    """

    grey: torch.Tensor
    inverse_depth: torch.Tensor
    points: torch.Tensor
    normals: torch.Tensor
    intrinsics: torch.Tensor
    planes: PlaneFit

    @staticmethod
    def from_images(
        grey: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor, window: int = _WINDOW
    ) -> DenseView:
        """Return views with points and normals, differentiable in depth.

        Planes are fitted to inverse depth (`plane_fit`), so planes stay exact. A window that
        spans two surfaces gives no normal, and its depth is not smoothed.

        Args:
            grey: (B, 1, H, W) in [0, 1].
            depth: (B, 1, H, W) z in metres; 0, negative or not finite = unknown.
            intrinsics: (B, 3, 3) or (3, 3).
            window: odd side of the window of a plane, pixels; at least 3.
        """
        valid = known(depth)
        inverse = torch.where(valid, 1.0 / or_one(depth, valid), 0.0)
        return DenseView._from_inverse(grey, inverse, intrinsics, window)

    @staticmethod
    def _from_inverse(
        grey: torch.Tensor, inverse: torch.Tensor, intrinsics: torch.Tensor, window: int
    ) -> DenseView:
        batch, _, height, width = inverse.shape
        k = intrinsics if intrinsics.dim() == 3 else intrinsics.unsqueeze(0)
        k = k.to(inverse).expand(batch, 3, 3)
        fit = fit_planes(inverse, window)
        smooth = torch.where(fit.valid, fit.inverse_depth, inverse)
        valid = smooth > 0
        points = torch.where(valid, pixel_rays(height, width, k) / or_one(smooth, valid), 0.0)
        return DenseView(grey, smooth, points, plane_normals(fit, k), k, fit)

    @cached_property
    def surface(self) -> torch.Tensor:
        """(B, 6, H, W) points and normals in one tensor, for sampling."""
        return torch.cat([self.points, self.normals], dim=1)

    @cached_property
    def has_normal(self) -> torch.Tensor:
        """(B, 1, H, W) bool: the pixel has depth and a normal."""
        return self.planes.valid

    @property
    def has_depth(self) -> torch.Tensor:
        """(B, 1, H, W) bool."""
        return self.inverse_depth.detach() > 0

    def halved(self) -> DenseView:
        """Return the views at half the size. A depth needs four of one surface."""
        height, width = (2 * (side // 2) for side in self.grey.shape[-2:])
        grey = functional.avg_pool2d(self.grey[..., :height, :width], 2)
        k = halved_intrinsics(self.intrinsics)
        return DenseView._from_inverse(grey, self.planes.halved(), k, _COARSE_WINDOW)

    def pyramid(self, levels: int) -> list[DenseView]:
        """Return at most ``levels`` sizes, the finest first; tiny images are left out."""
        views = [self]
        while len(views) < levels and min(views[-1].grey.shape[-2:]) >= 2 * _FEWEST_PIXELS:
            views.append(views[-1].halved())
        return views


def halved_intrinsics(intrinsics: torch.Tensor) -> torch.Tensor:
    """Return (..., 3, 3) of the image at half the size: areas are scaled, see `PinholeCamera`."""
    half = 0.5 * intrinsics
    half[..., :2, 2] -= 0.25
    half[..., 2, 2] = 1.0
    return half
