"""The input of a refinement: one keyframe, its neighbours, labels and map points."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.resize import resize_depth
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.refine.label_errors import LabelErrors
from e2e_slam_ros.refine.scale import Scale


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """Depth that is known at some pixels.

    Attributes:
        depth: (1, 1, H, W) metres, 0 = unknown.
        weight: (1, 1, H, W) >= 0, the confidence.
        errors: what is known of their errors; None: they count as exact.

    Example:
        >>> depth = torch.tensor([[[[0.0, 2.0]]]])
        >>> SparseLabels(depth, (depth > 0).float()).weight
        tensor([[[[0., 1.]]]])
    """

    depth: torch.Tensor
    weight: torch.Tensor
    errors: LabelErrors | None = None


@dataclass(frozen=True, eq=False)
class RefineViews:
    """A keyframe to refine, and all data that its depth is compared with.

    Attributes:
        target: the keyframe.
        sources: its neighbours, nearest first.
        depth: (1, 1, H, W) metres, D_0; 0 = unknown.
        source_depths: one (1, 1, H, W) in metres or None for each source; empty: none known.
        map_points: (N, 3) metres, map frame, or None: surfels in the field of view.
        labels: sparse depth, or None.
        scale: from the depth network's unit to metres in this keyframe.
        poses_believed: false if the parallax may be no more than errors of the poses.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> decision = KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> views = RefineViews(seen, (seen,), torch.ones(1, 1, 6, 8))
        >>> views.scale.factor, len(views.sources)
        (1.0, 1)
    """

    target: Keyframe
    sources: tuple[Keyframe, ...]
    depth: torch.Tensor
    source_depths: tuple[torch.Tensor | None, ...] = ()
    map_points: torch.Tensor | None = None
    labels: SparseLabels | None = None
    scale: Scale = field(default_factory=Scale)
    poses_believed: bool = True


@dataclass(frozen=True, eq=False)
class SourceView:
    """One source at the working size.

    Attributes:
        image: (1, 3, h, w).
        intrinsics: (3, 3).
        T_source_target: (4, 4) float64.
        depth: (1, 1, h, w) metres or None.

    Example:
        >>> SourceView(torch.zeros(1, 3, 6, 8), torch.eye(3), torch.eye(4), None).depth is None
        True
    """

    image: torch.Tensor
    intrinsics: torch.Tensor
    T_source_target: torch.Tensor
    depth: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class WorkingViews:
    """`RefineViews` at the size of the losses.

    Attributes:
        image: (1, 3, h, w).
        camera: intrinsics of ``image``.
        T_map_camera: (4, 4) float64.
        depth: (1, 1, h, w) metres, D_0.
        sources: see `SourceView`.
        map_points: (N, 3) or None.
        labels: at the working size, or None.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> decision = KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> working = at_width(RefineViews(seen, (seen,), torch.ones(1, 1, 6, 8)), width=4)
        >>> working.image.shape, working.camera.fx, len(working.sources)
        (torch.Size([1, 3, 4, 4]), 4.0, 1)
    """

    image: torch.Tensor
    camera: PinholeCamera
    T_map_camera: torch.Tensor
    depth: torch.Tensor
    sources: tuple[SourceView, ...]
    map_points: torch.Tensor | None
    labels: SparseLabels | None


def at_width(views: RefineViews, width: int) -> WorkingViews:
    """Return the views at ``width`` pixels (never enlarged), free of inference mode.

    Tensors made in inference mode cannot take part in differentiation: they are copied.
    """
    camera = views.target.camera
    width = min(width, camera.width)
    height = max(4, round(camera.height * width / camera.width))
    target = camera.resized(width, height)
    depths = views.source_depths or (None,) * len(views.sources)
    pose = views.target.T_map_camera.double()
    sources = []
    for source, depth in zip(views.sources, depths, strict=True):
        between = inverse(source.T_map_camera.double()) @ pose
        k = source.camera.resized(width, height).matrix(source.image.device)
        small = None if depth is None else _small_depth(depth, width, height)
        sources.append(SourceView(_small(source.image, width, height), k, between, small))
    return WorkingViews(
        image=_small(views.target.image, width, height),
        camera=target,
        T_map_camera=pose.clone(),
        depth=_small_depth(views.depth, width, height),
        sources=tuple(sources),
        map_points=None if views.map_points is None else views.map_points.clone(),
        labels=None if views.labels is None else _small_labels(views.labels, width, height),
    )


def _small(image: torch.Tensor, width: int, height: int) -> torch.Tensor:
    if image.shape[-2:] == (height, width):
        return image.clone()
    return functional.interpolate(
        image, (height, width), mode="bilinear", align_corners=False, antialias=True
    ).clone()


def _small_depth(depth: torch.Tensor, width: int, height: int) -> torch.Tensor:
    if depth.shape[-2:] == (height, width):
        return depth.clone()
    return resize_depth(depth, width, height).clone()


def _small_labels(labels: SparseLabels, width: int, height: int) -> SparseLabels:
    """Return smaller labels. Several that fall into one pixel give their weighted mean."""
    if labels.depth.shape[-2:] == (height, width):
        return replace(labels, depth=labels.depth.clone(), weight=labels.weight.clone())
    known = torch.isfinite(labels.depth) & (labels.depth > 0)
    weight = torch.where(known, labels.weight, torch.zeros_like(labels.weight))
    inverse_depth = torch.where(known, labels.depth, torch.ones_like(labels.depth)).reciprocal()
    share = functional.adaptive_avg_pool2d(weight, (height, width))
    total = functional.adaptive_avg_pool2d(weight * inverse_depth, (height, width))
    some = total > 0
    depth = torch.where(some, share / torch.where(some, total, 1.0), 0.0)
    return SparseLabels(depth.clone(), share.clone())
