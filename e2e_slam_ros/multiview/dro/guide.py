"""The depth that DRO starts from: a single image's depth in the scale of motion stereo's."""

from __future__ import annotations

import torch

from e2e_slam_ros.multiview.dro.views import FARTHEST_M, NEAREST_M, DepthGuide

# Weight of motion stereo at which both depths count alike in the start.
_HALF = 0.05
# With a smaller mean weight, motion stereo is not trusted to find the scale.
_LEAST_WEIGHT = 0.01
# Bins of the histogram for the weighted median: steps of half a percent.
_BINS, _SPREAD = 400, 1.0


def depth_guide(
    single: torch.Tensor, stereo: torch.Tensor, weight: torch.Tensor
) -> tuple[DepthGuide, torch.Tensor]:
    """Return the guide, and the factor (B,) that the single image's depth was multiplied by.

    The factor is the weighted median of the ratio of both depths. Without any motion stereo it
    is 1.

    Args:
        single: (B, 1, H, W), metres up to a factor, > 0.
        stereo: (B, 1, H, W), metres, anything where ``weight`` is 0.
        weight: (B, 1, H, W) in [0, 1].

    >>> one = torch.ones(1, 1, 4, 4)
    >>> guide, factor = depth_guide(one, 1.5 * one, one)
    >>> round(float(factor), 2), round(float(guide.start.mean()), 1)
    (1.5, 1.5)
    """
    known = weight > 0
    log_stereo = torch.where(known, stereo, single).clamp(NEAREST_M, FARTHEST_M).log()
    log_single = single.clamp(NEAREST_M, FARTHEST_M).log()
    log_factor = _weighted_median(log_stereo - log_single, weight)
    enough = weight.mean((1, 2, 3)) > _LEAST_WEIGHT
    log_factor = torch.where(enough, log_factor, torch.zeros_like(log_factor))
    log_single = log_single + log_factor.view(-1, 1, 1, 1)
    share = weight / (weight + _HALF)
    start = torch.lerp(log_single, log_stereo, share)
    return (
        DepthGuide(start.exp(), log_single.exp(), log_stereo.exp(), weight).checked(),
        log_factor.exp(),
    )


def _weighted_median(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return (B,) medians of (B, 1, H, W) values, by a histogram: no sorting of all pixels."""
    place = (values.flatten(1).clamp(-_SPREAD, _SPREAD) + _SPREAD) / (2 * _SPREAD) * (_BINS - 1)
    index = place.round().long()
    bins = torch.zeros(len(values), _BINS, dtype=torch.float64, device=values.device)
    bins.scatter_add_(1, index, weight.flatten(1).double())
    total = bins.cumsum(1)
    middle = (total < 0.5 * total[:, -1:]).sum(1).clamp_max(_BINS - 1)
    return (middle.to(values) / (_BINS - 1) * 2.0 - 1.0) * _SPREAD
