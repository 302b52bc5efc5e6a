"""Scale-invariant error of a depth map against known depth (Eigen et al. 2014, eq. 4)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import known, or_one

# An image with fewer known pixels is left out: so few pixels say little about a depth map.
_LEAST_PIXELS = 16
# The slope of a square root is infinite at 0. A log error of 0.001 is small enough.
_LEAST_VARIANCE = 1e-6


def log_depth_error(
    depth: torch.Tensor, target: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Return ``log depth - log target`` inside the mask, 0 with gradient 0 outside; (B, 1, H, W).

    Args:
        depth: (B, 1, H, W), predicted depth.
        target: (B, 1, H, W), true depth in the same unit. Values outside the mask are ignored.
        valid: (B, 1, H, W) bool; both depths must be positive inside the mask.
    """
    error = or_one(depth, valid).log() - or_one(target, valid).log()
    return torch.where(valid, error, torch.zeros_like(error))


def scale_invariant_loss(
    error: torch.Tensor, valid: torch.Tensor, balance: float = 0.9
) -> torch.Tensor:
    """Return ``sqrt(mean(e^2) - balance mean(e)^2)``, averaged over the images; a scalar.

    With ``balance`` 1 a constant factor on the depth costs nothing. With ``balance`` 0 the loss is
    the root mean square. Each image has the same weight, whatever its number of known pixels.
    Images with fewer than 16 known pixels are left out. The loss is 0 with gradients 0 when all
    images are left out.

    Args:
        error: (B, 1, H, W), difference of log depths, 0 outside the mask (`log_depth_error`).
        valid: (B, 1, H, W) bool.
        balance: lambda of eq. 4, 0 to 1.

    >>> target = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 1
    >>> valid = torch.ones_like(target, dtype=torch.bool)
    >>> error = log_depth_error(2 * target, target, valid)  # a factor of 2 everywhere
    >>> bool(scale_invariant_loss(error, valid, balance=1.0) < 0.002)
    True
    >>> round(float(scale_invariant_loss(error, valid, balance=0.0)), 3)  # log 2
    0.693
    """
    count = valid.sum((1, 2, 3))
    divisor = count.clamp_min(1)
    mean = error.sum((1, 2, 3)) / divisor
    square = error.square().sum((1, 2, 3)) / divisor
    spread = (square - balance * mean.square()).clamp_min(_LEAST_VARIANCE).sqrt()
    enough = count >= _LEAST_PIXELS
    return torch.where(enough, spread, torch.zeros_like(spread)).sum() / enough.sum().clamp_min(1)


def usable_labels(target: torch.Tensor, min_m: float, max_m: float) -> torch.Tensor:
    """Return which labels of (B, 1, H, W) are known and lie between ``min_m`` and ``max_m``."""
    return known(target) & (target >= min_m) & (target <= max_m)
