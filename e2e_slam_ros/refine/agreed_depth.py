"""The mean of a keyframe's depth and that of other keyframes at the same points."""

from __future__ import annotations

import torch

from e2e_slam_ros.refine.compared_depth import ComparedDepth

# Difference of log depth at which another keyframe counts half: it may see another surface.
_ANOTHER = 0.04
# Least standard deviation of a depth, so that none counts alone.
_LEAST = 0.02
# Correlation of the errors of two other keyframes: they see much the same images.
_CORRELATION = 0.5
# Log depth changes by this at most.
_MOST = 0.2


@torch.no_grad()
def agreed_change(compared: ComparedDepth, own_sigma: torch.Tensor) -> torch.Tensor:
    """Return the change of log depth to the mean with other keyframes, (1, 1, h, w).

    The errors of a keyframe's depth are partly its own: others stand elsewhere, and have other
    neighbours. Depth is weighted by its inverse variance. A depth far from the own one counts
    less (weights of Student's t distribution), because it may be another surface. Errors of the
    others are alike, so many of them count hardly more than two.

    Args:
        compared: the keyframe's depth with that of others.
        own_sigma: (1, 1, h, w), the relative standard deviation of its depth.

    Example:
        >>> own = torch.full((1, 1, 1, 1), 2.0)
        >>> apart, sigma = torch.full((2, 1, 1, 1), 0.02), torch.full((2, 1, 1, 1), 0.04)
        >>> compared = ComparedDepth(own, apart, apart > 0, sigma, sigma)  # two say 2 % more
        >>> round(float(agreed_change(compared, own_sigma=sigma[:1])), 3)
        0.01
    """
    weight = compared.visible / (compared.sigma.square() + _LEAST**2)
    weight = weight / (1.0 + (compared.apart / _ANOTHER).square())
    total = weight.sum(0, keepdim=True)
    mean = (weight * compared.apart).sum(0, keepdim=True) / total.clamp_min(1e-6)
    number = total.square() / weight.square().sum(0, keepdim=True).clamp_min(1e-6)
    theirs = total / (1.0 + _CORRELATION * (number - 1.0)).clamp_min(1.0)
    own = 1.0 / (own_sigma.square() + _LEAST**2)
    return (mean * theirs / (theirs + own)).clamp(-_MOST, _MOST)
