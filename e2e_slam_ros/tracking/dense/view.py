"""One camera view as dense alignment uses it: grey image, depth, points and normals by level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.geometry.normals import normals_from_points, smoothed_depth
from e2e_slam_ros.geometry.projection import pixel_rays

# Relative spread of inverse depth within a window above which it spans two surfaces.
_ONE_SURFACE = 0.12
# Window for smoothing at the finest level, pixels. Coarser levels are averages already.
_WINDOW = 5
_FEWEST_PIXELS = 12


@dataclass(frozen=True, eq=False)
class DenseView:
    """B views of one size; all tensors on one device and of one floating type.

    Attributes:
        grey: (B, 1, H, W) in [0, 1].
        inverse_depth: (B, 1, H, W) 1/metres, 0 = unknown.
        points: (B, 3, H, W) metres, camera frame, 0 where unknown.
        normals: (B, 3, H, W) unit, towards the camera, 0 where unknown.
        intrinsics: (B, 3, 3) without distortion.

    Example:
        >>> K = torch.tensor([[20.0, 0.0, 15.5], [0.0, 20.0, 11.5], [0.0, 0.0, 1.0]])
        >>> wall = torch.full((1, 1, 24, 32), 2.0)
        >>> view = DenseView.from_images(torch.zeros_like(wall), wall, K)
        >>> view.normals[0, :, 12, 16].tolist(), int(view.has_normal.sum())
        ([0.0, 0.0, -1.0], 468)
    """

    grey: torch.Tensor
    inverse_depth: torch.Tensor
    points: torch.Tensor
    normals: torch.Tensor
    intrinsics: torch.Tensor

    @staticmethod
    def from_images(
        grey: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor, window: int = _WINDOW
    ) -> DenseView:
        """Return views with points and normals, differentiable in depth.

        Inverse depth is smoothed instead of depth: it is linear on a plane, so that planes stay
        exact. A window that spans two surfaces, or unknown depth, gives no normal.

        Args:
            grey: (B, 1, H, W) in [0, 1].
            depth: (B, 1, H, W) z in metres; 0, negative or not finite = unknown.
            intrinsics: (B, 3, 3) or (3, 3).
            window: odd side of the smoothing window, pixels; 1: no smoothing.
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
        valid = inverse > 0
        whole = _one_surface(inverse, max(window, 3))
        smooth = inverse
        if window > 1:
            smooth = torch.where(whole, smoothed_depth(inverse, valid, window), inverse)
        rays = pixel_rays(height, width, k)
        points = torch.where(valid, rays / or_one(smooth, valid), 0.0)
        normals, _ = normals_from_points(points, whole)
        return DenseView(grey, inverse, points, normals, k)

    @cached_property
    def surface(self) -> torch.Tensor:
        """(B, 6, H, W) points and normals in one tensor, for sampling."""
        return torch.cat([self.points, self.normals], dim=1)

    @cached_property
    def has_normal(self) -> torch.Tensor:
        """(B, 1, H, W) bool: the pixel has depth and a normal."""
        return (self.normals.detach() != 0).any(1, keepdim=True)

    @property
    def has_depth(self) -> torch.Tensor:
        """(B, 1, H, W) bool."""
        return self.inverse_depth.detach() > 0

    def halved(self) -> DenseView:
        """Return the views at half the size. A depth needs four of one surface."""
        height, width = (2 * (side // 2) for side in self.grey.shape[-2:])
        grey = functional.avg_pool2d(self.grey[..., :height, :width], 2)
        inverse = halved_inverse_depth(self.inverse_depth[..., :height, :width])
        return DenseView._from_inverse(grey, inverse, halved_intrinsics(self.intrinsics), 1)

    def pyramid(self, levels: int) -> list[DenseView]:
        """Return at most ``levels`` sizes, the finest first; tiny images are left out."""
        views = [self]
        while len(views) < levels and min(views[-1].grey.shape[-2:]) >= 2 * _FEWEST_PIXELS:
            views.append(views[-1].halved())
        return views


def halved_inverse_depth(inverse: torch.Tensor) -> torch.Tensor:
    """Return the mean of each 2x2 block of (B, 1, 2h, 2w), 0 unless all are of one surface."""
    largest = functional.max_pool2d(inverse, 2)
    smallest = -functional.max_pool2d(-inverse, 2)
    one = (smallest > 0) & (largest - smallest < _ONE_SURFACE * largest)
    return torch.where(one, functional.avg_pool2d(inverse, 2), 0.0)


def halved_intrinsics(intrinsics: torch.Tensor) -> torch.Tensor:
    """Return (..., 3, 3) of the image at half the size: areas are scaled, see `PinholeCamera`."""
    half = 0.5 * intrinsics
    half[..., :2, 2] -= 0.25
    half[..., 2, 2] = 1.0
    return half


def _one_surface(inverse: torch.Tensor, window: int) -> torch.Tensor:
    """Return where a whole window is known, inside the image, and of one surface."""
    with torch.no_grad():
        border = window // 2
        # Outside the image counts as unknown.
        padded = functional.pad(inverse, (border,) * 4)
        largest = functional.max_pool2d(padded, window, stride=1)
        smallest = -functional.max_pool2d(-padded, window, stride=1)
        return (smallest > 0) & (largest - smallest < _ONE_SURFACE * largest)
