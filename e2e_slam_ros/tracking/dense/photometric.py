"""Alignment of an image with a keyframe by brightness and inverse depth.

Gauss-Newton on SE(3) over all pixels of the keyframe that have depth and texture (Kerl et al.
2013; Steinbruecker et al. 2011), with gain and offset of brightness as unknowns (Engel et al.
2018) and, where the image has depth too, inverse depth as a second residual. Both residuals get
the weights of a t distribution of their own scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.normals import cross_product
from e2e_slam_ros.geometry.projection import project
from e2e_slam_ros.geometry.sampling import inside, sample_bilinear
from e2e_slam_ros.tracking.dense.alignment import STEPS, DenseAlignment, coarse_to_fine
from e2e_slam_ros.tracking.dense.robust import t_scale, t_weights
from e2e_slam_ros.tracking.dense.solver import covariance, solve_motion
from e2e_slam_ros.tracking.dense.view import DenseView

# Gradient of a pixel that counts as texture, grey values in [0, 1] a pixel.
_TEXTURE = 0.015
# Least scale of residuals: half a grey value, and a thousandth of relative depth.
_GREY, _DEPTH = 0.002, 0.001
# Depths further apart than this, relative, belong to different surfaces.
_SURFACE = 0.15
# Depths this close, relative, agree.
_AGREES = 0.04
_WEAKEST = 1e-4
_CORRELATED = 25.0
# Standard deviation of gain (logarithm) and offset (grey in [0, 1]) of brightness.
_GAIN, _OFFSET = 0.5, 0.2


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Residuals of B pairs: brightness and inverse depth, each with mask and Jacobian."""

    grey: torch.Tensor
    grey_mask: torch.Tensor
    grey_rows: torch.Tensor
    shades: torch.Tensor
    depth: torch.Tensor
    depth_mask: torch.Tensor
    depth_rows: torch.Tensor
    depth_in_sight: torch.Tensor
    lever: torch.Tensor


@dataclass(frozen=True, eq=False)
class _System:
    """Normal equations of the motion, with brightness eliminated."""

    information: torch.Tensor
    gradient: torch.Tensor
    total: torch.Tensor
    back: torch.Tensor
    shade: torch.Tensor
    grey_scale: torch.Tensor


class PhotometricAligner:
    """Aligns B views with B references; keeps gain and offset of brightness while it runs.

    Args:
        views, references: pyramids, the finest first; the references have depth.

    Attributes:
        shades: (B, 2) logarithm of the gain, and offset: view = gain reference + offset.

    Example:
        >>> K = torch.tensor([[40.0, 0.0, 31.5], [0.0, 40.0, 23.5], [0.0, 0.0, 1.0]])
        >>> v, u = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
        >>> picture = lambda shift: (0.5 + 0.2 * torch.sin((u + shift) / 4) * torch.cos(v / 4))
        >>> wall = torch.full((1, 1, 48, 64), 2.0)
        >>> reference = DenseView.from_images(picture(0.0)[None, None], wall, K)
        >>> view = DenseView.from_images(picture(1.0)[None, None], torch.zeros_like(wall), K)
        >>> aligner = PhotometricAligner([view], [reference])
        >>> T = aligner.align(torch.eye(4)[None]).T_reference_camera
        >>> [abs(round(float(x), 3)) for x in T[0, :3, 3]]
        [0.05, 0.0, 0.0]
    """

    def __init__(self, views: Sequence[DenseView], references: Sequence[DenseView]) -> None:
        self._views, self._references = views, references
        self.shades = references[0].grey.new_zeros(1, 2)
        self._images: dict[int, torch.Tensor] = {}

    def align(self, T_start: torch.Tensor, steps: Sequence[int] = STEPS) -> DenseAlignment:
        """Return the poses from coarse to fine.

        Args:
            T_start: (B, 4, 4) T_reference_camera to start from.
            steps: number of steps from the coarsest level on.
        """
        self.shades = self.shades.new_zeros(T_start.shape[0], 2)
        with torch.no_grad():
            T = coarse_to_fine(
                self._views, self._references, se3.inverse(T_start), self._step, steps
            )
            return self._result(T)

    def _step(
        self, view: DenseView, reference: DenseView, T: torch.Tensor, level: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = self._residuals(view, reference, T, level)
        system = _normal_equations(found, self.shades)
        twist = solve_motion(
            system.information, system.gradient, found.lever, system.total, _WEAKEST
        ).twist
        # A step of more than a fifth of the distance is no longer linear.
        size = (twist[:, :3].norm(dim=1) / found.lever).maximum(twist[:, 3:].norm(dim=1))
        shorter = (0.2 / size.clamp_min(1e-12)).clamp_max(1.0)
        twist = twist * shorter[:, None]
        self.shades = self.shades - system.shade - (system.back @ twist[..., None])[..., 0]
        return se3.exp(twist) @ T, size

    def _result(self, T: torch.Tensor) -> DenseAlignment:
        found = self._residuals(self._views[0], self._references[0], T, 0)
        system = _normal_equations(found, self.shades)
        step = solve_motion(
            system.information, system.gradient, found.lever, system.total, _WEAKEST
        )
        count = (found.grey_mask + found.depth_in_sight).sum(1)
        agreeing, usable = self._agreeing(found)
        return DenseAlignment(
            T_reference_camera=se3.inverse(T),
            covariance=covariance(system.information / _CORRELATED),
            overlap=agreeing / usable,
            agreement=agreeing / count.clamp_min(1.0),
            pixels=agreeing,
            weakest=step.eigenvalues[:, 0],
            residual=system.grey_scale,
        )

    def _agreeing(self, found: _Residuals) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (B,) how many pixels agree, and of how many usable ones of the reference.

        Brightness agrees if its error is below half of the contrast around: a wrong pose leaves
        errors as large as the contrast. Depth agrees to four per cent.
        """
        reference = self._references[0]
        contrast = self.shades[:, :1].exp() * _contrast(reference).flatten(1)
        agrees = ((found.grey.abs() < 0.5 * contrast) & (found.grey_mask > 0)).sum(1)
        usable = _textured(reference).flatten(1).sum(1)
        if bool(self._views[0].has_depth.any()):
            close = found.depth.abs() < _AGREES
            agrees = agrees + (close & (found.depth_mask > 0)).sum(1)
            usable = usable + reference.has_depth.flatten(1).sum(1)
        return agrees, usable.clamp_min(1)

    def _residuals(
        self, view: DenseView, reference: DenseView, T: torch.Tensor, level: int
    ) -> _Residuals:
        points = T[:, :3, :3] @ reference.points.flatten(2) + T[:, :3, 3:]
        uv, z = project(points, view.intrinsics)
        height, width = view.grey.shape[-2:]
        seen = (inside(uv, height, width) & (z > 1e-3))[:, 0] & reference.has_depth.flatten(1)
        uv = torch.where(seen[:, None], uv, torch.zeros_like(uv))
        z = torch.where(seen[:, None], z, torch.ones_like(z))[:, 0]
        image = self._image(view, level).expand(len(T), -1, -1, -1)
        at = sample_bilinear(image, uv[:, :, None])[:, :, 0]
        x_z, y_z = points[:, 0] / z, points[:, 1] / z
        fx, fy = view.intrinsics[:, 0, 0, None] / z, view.intrinsics[:, 1, 1, None] / z
        gain = self.shades[:, :1].exp()
        dark = gain * reference.grey.flatten(1)
        grey = at[:, 0] - dark - self.shades[:, 1:]
        grey_mask = seen & _textured(reference).flatten(1)
        grey_rows = _rows(at[:, 1] * fx, at[:, 2] * fy, x_z, y_z, None, points)
        inverse = 1.0 / z
        depth = at[:, 3] - inverse
        in_sight = seen & (at[:, 6] > 0.999)
        both = in_sight & (depth.abs() < _SURFACE * inverse)
        depth_rows = _rows(at[:, 4] * fx, at[:, 5] * fy, x_z, y_z, inverse * inverse, points)
        # Relative to inverse depth: the same scale near and far.
        depth, depth_rows = depth * z, depth_rows * z[:, None]
        lever = (z * seen).sum(1) / seen.sum(1).clamp_min(1)
        shades = torch.stack([-dark, -torch.ones_like(dark)], dim=1)
        kind = grey.dtype
        return _Residuals(
            torch.where(grey_mask, grey, 0.0),
            grey_mask.to(kind),
            grey_rows,
            shades,
            torch.where(both, depth, 0.0),
            both.to(kind),
            depth_rows,
            in_sight.to(kind),
            lever.clamp_min(1e-3),
        )

    def _image(self, view: DenseView, level: int) -> torch.Tensor:
        """Return (B, 7, H, W): grey and inverse depth with their slopes, and where depth is."""
        if level not in self._images:
            whole = -functional.max_pool2d(-view.has_depth.to(view.grey.dtype), 3, 1, 1)
            grey, inverse = view.grey, view.inverse_depth
            parts = [grey, *_slopes(grey), inverse, *_slopes(inverse), whole]
            self._images[level] = torch.cat(parts, dim=1)
        return self._images[level]


def photometric(
    views: Sequence[DenseView], references: Sequence[DenseView], T_start: torch.Tensor
) -> DenseAlignment:
    """Align B views with B references: see `PhotometricAligner`."""
    return PhotometricAligner(views, references).align(T_start)


def _normal_equations(found: _Residuals, shades: torch.Tensor) -> _System:
    grey_scale = t_scale(found.grey, found.grey_mask, _GREY)
    depth_scale = t_scale(found.depth, found.depth_mask, _DEPTH)
    grey_weight = found.grey_mask * t_weights(found.grey, grey_scale)
    grey_weight = grey_weight / grey_scale[:, None] ** 2
    depth_weight = found.depth_mask * t_weights(found.depth, depth_scale)
    depth_weight = depth_weight / depth_scale[:, None] ** 2
    rows = torch.cat([found.grey_rows, found.shades], dim=1)
    weighted = rows * grey_weight[:, None]
    full = weighted @ rows.transpose(1, 2)
    right = (weighted @ found.grey[..., None])[..., 0]
    geometry = found.depth_rows * depth_weight[:, None]
    full[:, :6, :6] += geometry @ found.depth_rows.transpose(1, 2)
    right[:, :6] += (geometry @ found.depth[..., None])[..., 0]
    # Brightness is expected to change little; this also keeps its block regular.
    prior = full.new_tensor([_GAIN**-2, _OFFSET**-2])
    full[:, 6:, 6:] += torch.diag(prior)
    right[:, 6:] += prior * shades
    across = full[:, 6:, :6]
    solved = torch.linalg.solve(full[:, 6:, 6:], torch.cat([across, right[:, 6:, None]], dim=2))
    back, shade = solved[..., :6], solved[..., 6]
    information = full[:, :6, :6] - across.transpose(1, 2) @ back
    gradient = right[:, :6] - (across.transpose(1, 2) @ shade[..., None])[..., 0]
    total = full.diagonal(dim1=1, dim2=2)[:, :3].sum(1)
    return _System(information, gradient, total, back, shade, grey_scale)


def _rows(
    along_x: torch.Tensor,
    along_y: torch.Tensor,
    x_z: torch.Tensor,
    y_z: torch.Tensor,
    along_z: torch.Tensor | None,
    points: torch.Tensor,
) -> torch.Tensor:
    """Return (B, 6, N) derivatives by the twist from those by the point's pixel and depth."""
    forward = -(along_x * x_z + along_y * y_z)
    if along_z is not None:
        forward = forward + along_z
    by_point = torch.stack([along_x, along_y, forward], dim=1)
    return torch.cat([by_point, cross_product(points, by_point)], dim=1)


def _slopes(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the central differences along u and v, a pixel; 0 at the border."""
    across = functional.pad(0.5 * (image[..., 2:] - image[..., :-2]), (1, 1, 0, 0))
    down = functional.pad(0.5 * (image[..., 2:, :] - image[..., :-2, :]), (0, 0, 1, 1))
    return across, down


def _contrast(view: DenseView) -> torch.Tensor:
    """Return (B, 1, H, W) the range of brightness around each pixel."""
    return functional.max_pool2d(view.grey, 5, 1, 2) + functional.max_pool2d(-view.grey, 5, 1, 2)


def _textured(view: DenseView) -> torch.Tensor:
    """Return (B, 1, H, W) bool: the pixel has depth and a gradient above noise."""
    across, down = _slopes(view.grey)
    return view.has_depth & (across * across + down * down > _TEXTURE**2)
