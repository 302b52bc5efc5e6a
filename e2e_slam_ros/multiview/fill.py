"""From depths known here and there to depth everywhere."""

from __future__ import annotations

import torch
from torch.nn import functional

# What the coarser level weighs against a pixel's own evidence of weight 1.
_PRIOR = 0.02


def fill(values: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Complete an image by normalised convolution, coarse to fine (Knutsson, Westin 1993).

    Each level averages what is known below it; where that is little, the coarser level decides.

    Args:
        values: (1, 1, H, W); ignored where ``weight`` is 0.
        weight: (1, 1, H, W), at least 0.

    Returns:
        The completed image (1, 1, H, W), 0 everywhere when nothing is known, and the evidence it
        rests on in [0, 1]: the mean weight in the pixel's surroundings.
    """
    sums, weights = [values * weight], [weight]
    while min(sums[-1].shape[-2:]) > 2:
        sums.append(_halved(sums[-1]))
        weights.append(_halved(weights[-1]))
    total = weights[-1].sum()
    mean = sums[-1].sum() / torch.where(total > 0, total, torch.ones_like(total))
    result = mean.expand_as(sums[-1])
    for level_sum, level_weight in zip(reversed(sums), reversed(weights), strict=True):
        size = (level_sum.shape[-2], level_sum.shape[-1])
        above = functional.interpolate(result, size, mode="bilinear", align_corners=False)
        result = (level_sum + _PRIOR * above) / (level_weight + _PRIOR)
    near = weights[min(2, len(weights) - 1)]
    size = (values.shape[-2], values.shape[-1])
    evidence = functional.interpolate(near, size, mode="bilinear", align_corners=False)
    return result, evidence.clamp(0.0, 1.0)


def _halved(image: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
