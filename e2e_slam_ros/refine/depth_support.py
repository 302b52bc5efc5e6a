"""Which pixels of a keyframe's depth other keyframes confirm."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config.support import SupportConfig
from e2e_slam_ros.refine.compared_depth import ComparedDepth, quality_of

# What fewer other keyframes see is unknown to them, and not contradicted.
FEWEST = 2
# Differences of log depth. Nearer than an other keyframe's depth by more than the first: the
# pixel lies where the other sees empty space. Farther by more than the second: it is hidden.
_BEFORE, _HIDDEN = 0.06, 0.25
_OCCLUDED = 0.15
# Of two depths that exclude each other the one goes whose quality is smaller by this factor.
_CLEARLY = 1.1
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
def depth_support(compared: ComparedDepth, config: SupportConfig) -> DepthSupport:
    """Return which pixels of a keyframe's depth other keyframes confirm.

    Errors of one keyframe's depth are smooth, so its own evidence hardly tells them. Keyframes
    that stand elsewhere have other errors (compare the visibility-based fusion of depth maps of
    Merrell et al., ICCV 2007).

    Args:
        compared: the keyframe's depth with that of others.
        config: limits.
    """
    apart, visible = compared.apart, compared.visible
    confirms = visible & (apart.abs() < config.tolerance)
    sees = visible & (apart > -_OCCLUDED)
    confirmed = confirms.sum(0, keepdim=True).to(compared.own)
    seen = sees.sum(0, keepdim=True).to(compared.own)
    excludes = (apart > _BEFORE) | ((apart < -config.tolerance) & (apart > -_HIDDEN))
    own_quality = quality_of(_share(confirmed, seen), compared.own)
    better = compared.quality > _CLEARLY * own_quality
    return DepthSupport(confirmed, seen, (visible & excludes & better).any(0, keepdim=True))


def _share(confirmed: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return (confirmed + 0.5) / (seen + 1.0)
