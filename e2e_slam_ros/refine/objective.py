"""The loss that a refinement minimises: the sum of paper eq. 6, and further terms."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.geometry.masks import known, masked_mean, or_one
from e2e_slam_ros.geometry.warp import Warp, inverse_warp
from e2e_slam_ros.losses.geometry_consistency import geometry_consistency
from e2e_slam_ros.losses.photometric import PhotometricResult, photometric_loss
from e2e_slam_ros.losses.regulariser import depth_regulariser
from e2e_slam_ros.losses.smoothness import smoothness
from e2e_slam_ros.losses.sparse_depth import sparse_depth_loss
from e2e_slam_ros.refine.map_target import MapTarget
from e2e_slam_ros.refine.views import WorkingViews

# Columns of a trace, in the order of `Evaluation.terms`.
TERMS = ("photometric", "chamfer", "regulariser", "smoothness", "consistency", "labels")

# An image step of a tenth of the range excuses a step in depth by a factor of e.
_EDGE_WEIGHT = 10.0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The loss of one step. Its tensors stay on the device, so that nothing waits for them.

    Attributes:
        total: scalar, differentiable.
        terms: (6,) each term with its weight, in the order of `TERMS`; they add up to the total.
        held_back: scalar, weighted error of the pixels that take no part in the total.
        valid_share: scalar, share of the pixels that photometric loss or labels cover, the larger.

    Example:
        >>> terms = torch.tensor([1.0, 0.5, 0.0, 0.25, 0.0, 0.0])
        >>> now = Evaluation(terms.sum(), terms, torch.tensor(1.0), torch.tensor(0.9))
        >>> dict(zip(TERMS, now.terms.tolist()))["chamfer"]
        0.5
    """

    total: torch.Tensor
    terms: torch.Tensor
    held_back: torch.Tensor
    valid_share: torch.Tensor


class Objective:
    """The loss of depth maps of one keyframe, comparable from step to step.

    The first depth fixes the pixels that count. They count even if a later depth moves them out
    of view; otherwise the loss would fall as pixels leave the view.

    Args:
        views: the keyframe at the size of the depth maps to come.
        initial: (1, 1, h, w) metres, D_0 of the regulariser, in the scale of the depths to come.
        held_back: (1, 1, h, w) bool, pixels that only judge.
        config: weights and limits.

    Example:
        >>> from e2e_slam_ros.data.keyframe import Keyframe
        >>> from e2e_slam_ros.refine.views import RefineViews
        >>> from e2e_slam_ros.refine.views import at_width
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> decision, depth = KeyframeDecision(True, "first"), torch.full((1, 1, 48, 64), 2.3)
        >>> def seen_from(x_m: float) -> Keyframe:  # a patterned wall at 2 m
        ...     x = (torch.arange(64.0) - camera.cx) / camera.fx * 2.0 + x_m
        ...     image = (0.5 + 0.3 * torch.sin(9.0 * x)).expand(1, 3, 48, 64)
        ...     pose = torch.eye(4, dtype=torch.float64)
        ...     pose[0, 3] = x_m
        ...     return Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> views = RefineViews(seen_from(0.0), (seen_from(-0.1), seen_from(0.1)), depth)
        >>> working, config = at_width(views, 64), RefineConfig()
        >>> held_back = held_back_pixels(48, 64, 0.1, seed=0, device=torch.device("cpu"))
        >>> loss = Objective(working, working.depth, held_back, config)
        >>> bool(loss(torch.full_like(depth, 2.0)).total < loss(depth).total)
        True
    """

    def __init__(
        self,
        views: WorkingViews,
        initial: torch.Tensor,
        held_back: torch.Tensor,
        config: RefineConfig,
    ) -> None:
        self._views, self._initial = views, initial.detach()
        self._held_back, self._config = held_back, config
        self._intrinsics = views.camera.matrix(views.image.device)
        self._domain: torch.Tensor | None = None
        self._map: MapTarget | None = None
        if views.map_points is not None and config.weights.chamfer > 0:
            self._map = MapTarget(
                views.map_points,
                views.camera,
                views.T_map_camera,
                config.chamfer_points,
                config.chamfer_limit_m,
            )

    def __call__(self, depth: torch.Tensor) -> Evaluation:
        """Return the loss of (1, 1, h, w) depth in metres."""
        weights, views = self._config.weights, self._views
        nothing = depth.new_zeros(())
        warps = self._warps(depth)
        photo, photo_held, share = nothing, nothing, nothing
        if weights.photometric > 0:
            photo, photo_held, share = self._photometric(warps)
        labels, labels_held, labelled = nothing, nothing, nothing
        if weights.labels > 0 and views.labels is not None:
            labels, labels_held, labelled = self._labels(depth)
        terms = torch.stack(
            [
                weights.photometric * photo,
                weights.chamfer * self._map.distance(depth) if self._map else nothing,
                depth_regulariser(self._initial, depth, gamma=weights.regulariser),
                weights.smoothness * self._smoothness(depth) if weights.smoothness else nothing,
                weights.consistency * self._consistency(warps),
                weights.labels * labels,
            ]
        )
        # The losses leave out pixels without depth, so a broken depth would cost less.
        sound = torch.isfinite(depth).all()
        terms = torch.where(sound, terms, torch.full_like(terms, torch.nan))
        held = weights.photometric * photo_held + weights.labels * labels_held
        return Evaluation(
            terms.sum(), terms.detach(), held.detach(), torch.maximum(share, labelled).detach()
        )

    def _warps(self, depth: torch.Tensor) -> list[Warp]:
        weights = self._config.weights
        if not (weights.photometric > 0 or weights.consistency > 0):
            return []
        return [
            inverse_warp(
                source.image, depth, source.T_source_target, self._intrinsics, source.intrinsics
            )
            for source in self._views.sources
        ]

    def _photometric(self, warps: list[Warp]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss, the held-back pixels' error and the share that counts."""
        images = [source.image for source in self._views.sources]
        standing = images if self._config.stationary_mask else None
        result: PhotometricResult = photometric_loss(
            self._views.image, warps, standing, domain=self._domain
        )
        if self._domain is None:
            self._domain = result.counted.detach()
        judged = result.counted & self._held_back
        used = result.counted & ~self._held_back
        return (
            masked_mean(result.error, used),
            masked_mean(result.error, judged),
            result.valid_share,
        )

    def _labels(self, depth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        labels = self._views.labels
        assert labels is not None
        space = self._config.label_space
        losses = [
            sparse_depth_loss(depth, labels.depth, labels.weight * part, space)  # type: ignore[arg-type]
            for part in (~self._held_back, self._held_back)
        ]
        share = (known(labels.depth) & known(labels.weight)).float().mean()
        return losses[0], losses[1], share

    def _smoothness(self, depth: torch.Tensor) -> torch.Tensor:
        has_depth = known(depth)
        inverse_depth = or_one(depth, has_depth).reciprocal()
        return smoothness(inverse_depth * has_depth, self._views.image, _EDGE_WEIGHT)

    def _consistency(self, warps: list[Warp]) -> torch.Tensor:
        """Return the mean disagreement with the sources that have a depth (eq. 6 of SC-SfM)."""
        if not self._config.weights.consistency > 0:
            return self._initial.new_zeros(())
        losses = [
            geometry_consistency(warp, source.depth).loss
            for warp, source in zip(warps, self._views.sources, strict=True)
            if source.depth is not None
        ]
        return torch.stack(losses).mean() if losses else self._initial.new_zeros(())


def held_back_pixels(
    height: int, width: int, share: float, seed: int, device: torch.device
) -> torch.Tensor:
    """Return (1, 1, H, W) bool: random blocks of 4x4 pixels, ``share`` of the image.

    Blocks, because the windows of SSIM reach into neighbouring pixels: the loss would have seen
    most of the window of a single pixel. The same seed gives the same pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.rand((-(-height // 4), -(-width // 4)), generator=generator) < share
    pixels = blocks.repeat_interleave(4, 0).repeat_interleave(4, 1)[:height, :width]
    return pixels[None, None].to(device)
