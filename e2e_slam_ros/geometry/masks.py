"""Means over the pixels that are known."""

from __future__ import annotations

import numpy as np
import torch


def masked_mean(
    values: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``sum(w v) / sum(w)`` over ``mask``, a scalar; 0 with gradients 0 if it is empty.

    Values outside the mask may be anything; but where they come from NaN by a function whose
    gradient is NaN there, put a number in first (`or_one`): 0 times NaN is NaN.

    Args:
        values: any shape.
        mask: bool, same shape.
        weights: >= 0, same shape; None is 1 everywhere.
    """
    inside = torch.where(mask, values, torch.zeros_like(values))
    if weights is None:
        return inside.sum() / mask.sum().clamp_min(1)
    weights = torch.where(mask, weights, torch.zeros_like(weights))
    total = weights.sum()
    return (inside * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))


def known(depth: torch.Tensor) -> torch.Tensor:
    """Return where a depth (or inverse depth) is a positive, finite number; bool, its shape."""
    # Two comparisons: half the time of `isfinite`. No NaN passes either of them.
    return (depth > 0) & (depth < torch.inf)


def indices(mask: torch.Tensor) -> torch.Tensor:
    """Return (K,) int64, where a (N,) bool mask is true.

    >>> indices(torch.tensor([False, True, True]))
    tensor([1, 2])
    """
    if mask.device.type == "cpu":
        # A seventh of the time of torch's `nonzero`.
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return torch.nonzero(mask).squeeze(1)


def or_one(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return ``values`` in the mask and 1 outside, so that 1/x and log x have finite gradients."""
    return torch.where(mask, values, torch.ones_like(values))
