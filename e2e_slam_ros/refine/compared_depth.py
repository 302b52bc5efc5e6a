"""A keyframe's depth beside that of other keyframes which see the same surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.geometry.projection import backproject, project
from e2e_slam_ros.geometry.sampling import inside, sample_nearest

# Depths are compared at this image width: neighbouring pixels have the same error.
_WIDTH = 160
# A depth is the more precise the nearer it is; nearer than this it makes no difference, metres.
_NEAREST_M = 0.3
_LEAST_Z_M = 0.1
# Standard deviation of a depth that states none, or that motion did not correct: it tells nothing.
_UNKNOWN = 1e3


@dataclass(frozen=True, eq=False)
class ComparedDepth:
    """Depth of a keyframe's pixels, and that of V other keyframes at the same points.

    Attributes:
        own: (1, 1, h, w) metres, 0 = unknown.
        apart: (V, 1, h, w), natural logarithm of their depth over that of the keyframe's points;
            positive: the point lies before what the other keyframe sees. 0 where not ``visible``.
        visible: (V, 1, h, w) bool, the other keyframe has depth at the point.
        quality: (V, 1, h, w), see `quality_of`, of their depth.
        sigma: (V, 1, h, w), relative standard deviation of their depth.

    Example:
        >>> wall = torch.full((1, 1, 2, 2), 2.0)
        >>> ComparedDepth(wall, torch.zeros_like(wall), wall > 0, wall, wall).visible.all()
        tensor(True)
    """

    own: torch.Tensor
    apart: torch.Tensor
    visible: torch.Tensor
    quality: torch.Tensor
    sigma: torch.Tensor


@torch.no_grad()
def compared_depth(
    keyframe: Keyframe, depth: torch.Tensor, others: Sequence[MappedKeyframe]
) -> ComparedDepth | None:
    """Project a keyframe's depth into other keyframes; None without others of the same camera.

    Args:
        keyframe: whose depth it is.
        depth: (1, 1, H, W) metres, 0 = unknown.
        others: keyframes with depth, of the same camera or left out.
    """
    others = [
        other
        for other in others
        if other.estimate is not None and other.keyframe.camera == keyframe.camera
    ]
    if not others:
        return None
    size = _small_size(keyframe)
    camera = keyframe.camera.resized(size[1], size[0])
    intrinsics = camera.matrix(depth.device, depth.dtype)
    own = reduced(depth, size)
    poses = torch.stack([other.keyframe.T_map_camera.double() for other in others])
    T_other_own = (torch.linalg.inv(poses) @ keyframe.T_map_camera.double()).to(depth)
    points = backproject(own, intrinsics).reshape(1, 3, -1)
    moved = (T_other_own[:, :3, :3] @ points + T_other_own[:, :3, 3:]).reshape(-1, 3, *size)
    uv, z = project(moved, intrinsics)
    visible = inside(uv, *size) & (z > _LEAST_Z_M) & known(own)
    uv = torch.where(visible, uv, 0.0)
    there, quality, sigma = sample_nearest(_stacked(others, size), uv).split(1, dim=1)
    visible &= known(there)
    apart = (or_one(there, visible) / or_one(z, visible)).log()
    return ComparedDepth(own, apart, visible, quality, sigma)


def reduced(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return (1, C, H, W) at another size, values of single pixels: depth is not mixed."""
    return functional.interpolate(image, size, mode="nearest-exact")


def knows_error(other: MappedKeyframe) -> bool:
    """Return whether motion supports a keyframe's depth, and its standard deviation is known."""
    stated = other.estimate is not None and other.estimate.sigma is not None
    return stated and other.motion_weight is not None


def quality_of(confidence: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Return how well founded depth is: its confidence over its metres."""
    return confidence / depth.clamp_min(_NEAREST_M)


def _small_size(keyframe: Keyframe) -> tuple[int, int]:
    width = min(_WIDTH, keyframe.camera.width)
    return max(1, round(keyframe.camera.height * width / keyframe.camera.width)), width


def _stacked(others: Sequence[MappedKeyframe], size: tuple[int, int]) -> torch.Tensor:
    """Return the others' depth, its quality and its standard deviation, (V, 3, h, w)."""
    rows = []
    for other in others:
        assert other.estimate is not None
        estimate = other.estimate
        depth = reduced(estimate.depth, size)
        sure, sigma = torch.ones_like(depth), torch.full_like(depth, _UNKNOWN)
        if estimate.confidence is not None:
            sure = reduced(estimate.confidence, size)
        if knows_error(other) and estimate.sigma is not None:
            sigma = reduced(estimate.sigma, size)
        rows.append(torch.cat([depth, quality_of(sure, depth), sigma], 1))
    return torch.cat(rows)
