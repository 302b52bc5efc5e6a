"""Which pixels of a keyframe's depth other keyframes confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.config.support import SupportConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.geometry.projection import backproject, project
from e2e_slam_ros.geometry.sampling import inside, sample_nearest

# Depths are compared at this image width: neighbouring pixels have the same error.
_WIDTH = 160
# What fewer other keyframes see is unknown to them, and not contradicted.
FEWEST = 2
# Differences of log depth. Nearer than an other keyframe's depth by more than the first: the
# pixel lies where the other sees empty space. Farther by more than the second: it is hidden.
_BEFORE, _HIDDEN = 0.06, 0.25
_OCCLUDED = 0.15
# Of two depths that exclude each other the one goes whose quality is smaller by this factor.
_CLEARLY = 1.1
# A depth is the more precise the nearer it is; nearer than this it makes no difference, metres.
_NEAREST_M = 0.3
_LEAST_Z_M = 0.1
# Errors fall with the share of the keyframes that agree, to this power, and are larger where fewer
# than two see the pixel; fitted with the constants of `refine/depth_sigma.py`.
_AGREEMENT, _UNCHECKED = 0.37, 1.55


@dataclass(frozen=True, eq=False)
class DepthSupport:
    """A keyframe's depth compared with other keyframes'; all tensors are (1, 1, h, w).

    Attributes:
        confirmed: number of keyframes whose depth is the same.
        seen: number of keyframes that see the pixel's surface, or see through it.
        beaten: another keyframe has better founded depth, and the two exclude each other.

    Example:
        >>> two = torch.full((1, 1, 1, 2), 2.0)
        >>> support = DepthSupport(two, 2.0 * two, torch.tensor([[[[False, True]]]]))
        >>> support.confidence
        tensor([[[[0.5000, 0.5000]]]])
        >>> support.kept(SupportConfig(), is_last=False)
        tensor([[[[ True, False]]]])
    """

    confirmed: torch.Tensor
    seen: torch.Tensor
    beaten: torch.Tensor

    @property
    def confidence(self) -> torch.Tensor:
        """Share of the keyframes that confirm a pixel, in (0, 1]; 0.5 if none sees it."""
        return _share(self.confirmed, self.seen)

    @property
    def sigma_factor(self) -> torch.Tensor:
        """How much other keyframes change the standard deviation of the depth, > 0."""
        few = torch.where(self.seen < FEWEST, _UNCHECKED, 1.0)
        return few * self.confidence.pow(-_AGREEMENT)

    def kept(self, config: SupportConfig, is_last: bool) -> torch.Tensor:
        """Return the pixels to map, bool.

        Args:
            config: limits.
            is_last: no later keyframe was compared; what few have seen so far waits for them.
        """
        few = self.seen < FEWEST
        enough = self.confirmed >= config.min_share * self.seen
        return torch.where(few, torch.full_like(few, not is_last), enough) & ~self.beaten


def unchecked_sigma_factor() -> float:
    """Return `DepthSupport.sigma_factor` where no other keyframe was compared."""
    return float(_UNCHECKED * 0.5**-_AGREEMENT)


@torch.no_grad()
def depth_support(
    keyframe: Keyframe,
    depth: torch.Tensor,
    others: Sequence[MappedKeyframe],
    config: SupportConfig,
) -> DepthSupport | None:
    """Compare a keyframe's depth with other keyframes'; None without others.

    Errors of one keyframe's depth are smooth, so its own evidence hardly tells them. Keyframes
    that stand elsewhere have other errors (compare the visibility-based fusion of depth maps of
    Merrell et al., ICCV 2007).

    Args:
        keyframe: whose depth it is.
        depth: (1, 1, H, W) metres, 0 = unknown.
        others: keyframes with depth, of the same camera or left out.
        config: limits.
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
    theirs, quality = _stacked(others, size)
    poses = torch.stack([other.keyframe.T_map_camera.double() for other in others])
    T_other_own = (torch.linalg.inv(poses) @ keyframe.T_map_camera.double()).to(depth)
    points = backproject(own, intrinsics).reshape(1, 3, -1)
    moved = (T_other_own[:, :3, :3] @ points + T_other_own[:, :3, 3:]).reshape(-1, 3, *size)
    uv, z = project(moved, intrinsics)
    visible = inside(uv, *size) & (z > _LEAST_Z_M) & known(own)
    uv = torch.where(visible, uv, 0.0)
    sampled, founded = sample_nearest(torch.cat([theirs, quality], dim=1), uv).split(1, dim=1)
    there = torch.where(visible, sampled, 0.0)
    visible &= known(there)
    # Positive: the pixel lies before what the other keyframe sees.
    apart = or_one(there, visible).log() - or_one(z, visible).log()
    confirms = visible & (apart.abs() < config.tolerance)
    sees = visible & (apart > -_OCCLUDED)
    confirmed = confirms.sum(0, keepdim=True).to(depth)
    seen = sees.sum(0, keepdim=True).to(depth)
    excludes = (apart > _BEFORE) | ((apart < -config.tolerance) & (apart > -_HIDDEN))
    better = founded > _CLEARLY * _quality(_share(confirmed, seen), own)
    return DepthSupport(confirmed, seen, (visible & excludes & better).any(0, keepdim=True))


def reduced(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return (1, C, H, W) at another size, values of single pixels: depth is not mixed."""
    return functional.interpolate(image, size, mode="nearest-exact")


def _small_size(keyframe: Keyframe) -> tuple[int, int]:
    width = min(_WIDTH, keyframe.camera.width)
    return max(1, round(keyframe.camera.height * width / keyframe.camera.width)), width


def _stacked(
    others: Sequence[MappedKeyframe], size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the others' depth and its quality, (V, 1, h, w) each."""
    depths, qualities = [], []
    for other in others:
        assert other.estimate is not None
        small = reduced(other.estimate.depth, size)
        confidence = other.estimate.confidence
        sure = torch.ones_like(small) if confidence is None else reduced(confidence, size)
        depths.append(small)
        qualities.append(_quality(sure, small))
    return torch.cat(depths), torch.cat(qualities)


def _share(confirmed: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return (confirmed + 0.5) / (seen + 1.0)


def _quality(confidence: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    return confidence / depth.clamp_min(_NEAREST_M)
