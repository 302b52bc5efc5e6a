"""Completion of a sparse depth image."""

from __future__ import annotations

import torch
from torch.nn import functional

# Weight of the coarser level, relative to a measured value of weight 1.
_PRIOR = 0.02


def fill(values: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Complete an image by normalised convolution, coarse to fine (Knutsson, Westin 1993).

    Each level is a weighted average of the finer level below it. Where the weights of a level are
    small, the coarser level decides.

    Args:
        values: (1, 1, H, W); ignored where ``weight`` is 0.
        weight: (1, 1, H, W), at least 0.

    Returns:
        image: (1, 1, H, W), the completed image. It is 0 everywhere when nothing is known.
        evidence: (1, 1, H, W) in [0, 1], the mean weight in the surroundings of each pixel.

    >>> values, weight = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    >>> values[..., 2, 2], weight[..., 2, 2] = 3.0, 1.0  # one known pixel
    >>> image, evidence = fill(values, weight)
    >>> bool(torch.allclose(image, torch.full_like(image, 3.0)))
    True
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
    return result, evidence_around(weight)


def evidence_around(weight: torch.Tensor) -> torch.Tensor:
    """Return the mean weight in the surroundings of each pixel, as the evidence of `fill`.

    >>> evidence_around(torch.full((1, 1, 8, 8), 0.5)).unique()
    tensor([0.5000])
    """
    near = weight
    for _ in range(2):
        if min(near.shape[-2:]) > 2:
            near = _halved(near)
    size = (weight.shape[-2], weight.shape[-1])
    evidence = functional.interpolate(near, size, mode="bilinear", align_corners=False)
    return evidence.clamp(0.0, 1.0)


def _halved(image: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
