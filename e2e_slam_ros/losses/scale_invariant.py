"""How far a depth map is from known depth, whatever its scale (Eigen et al. 2014, eq. 4)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import known, or_one

# Images with less known depth than this are left out: a handful of pixels is not a depth map.
_LEAST_PIXELS = 16
# Square roots have no slope at 0: a log error of 0.001 is already exact.
_LEAST_VARIANCE = 1e-6


def log_depth_error(
    depth: torch.Tensor, target: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Return ``log depth - log target`` in the mask and 0 (gradient 0) outside; (B, 1, H, W).

    Args:
        depth: (B, 1, H, W), predicted.
        target: (B, 1, H, W), in the same unit; may be anything outside the mask.
        valid: (B, 1, H, W) bool; both depths must be positive in it.
    """
    error = or_one(depth, valid).log() - or_one(target, valid).log()
    return torch.where(valid, error, torch.zeros_like(error))


def scale_invariant_loss(
    error: torch.Tensor, valid: torch.Tensor, balance: float = 0.9
) -> torch.Tensor:
    """Return ``sqrt(mean(e^2) - balance mean(e)^2)``, a scalar: the mean over the images.

    With ``balance`` 1 a factor on the depth changes nothing; with 0 it is the plain root mean
    square. Every image counts alike, however many of its pixels are known; images with fewer
    than 16 are left out. 0 with gradients 0 when that is all of them.

    Args:
        error: (B, 1, H, W), difference of logarithms, 0 outside the mask (`log_depth_error`).
        valid: (B, 1, H, W) bool.
        balance: lambda, 0 to 1.
    """
    count = valid.sum((1, 2, 3))
    divisor = count.clamp_min(1)
    mean = error.sum((1, 2, 3)) / divisor
    square = error.square().sum((1, 2, 3)) / divisor
    spread = (square - balance * mean.square()).clamp_min(_LEAST_VARIANCE).sqrt()
    enough = count >= _LEAST_PIXELS
    return torch.where(enough, spread, torch.zeros_like(spread)).sum() / enough.sum().clamp_min(1)


def usable_labels(target: torch.Tensor, min_m: float, max_m: float) -> torch.Tensor:
    """Return where a depth label (B, 1, H, W) is known and between ``min_m`` and ``max_m``."""
    return known(target) & (target >= min_m) & (target <= max_m)
