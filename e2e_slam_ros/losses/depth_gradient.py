"""Depth has its steps where the labels have theirs (Li & Snavely 2018, "MegaDepth", eq. 4)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import masked_mean


def depth_gradient_loss(error: torch.Tensor, valid: torch.Tensor, scales: int = 4) -> torch.Tensor:
    """Return the sum over scales of ``mean |dx e| + mean |dy e|``, a scalar.

    ``e`` is the difference of log depths, so that only relative depth counts and a factor on the
    whole map costs nothing. Each scale keeps every second pixel of the one before: coarse steps,
    such as the tilt of a wall, weigh as much as fine ones. Only pairs of known neighbours count.

    Args:
        error: (B, 1, H, W), as `log_depth_error` returns it.
        valid: (B, 1, H, W) bool.
        scales: how many, at least 1; those below 2 pixels are left out.
    """
    total = error.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        at, mask = error[..., ::step, ::step], valid[..., ::step, ::step]
        for axis in (2, 3):
            last = at.shape[axis] - 1
            if last < 1:
                continue
            pairs = mask.narrow(axis, 0, last) & mask.narrow(axis, 1, last)
            total = total + masked_mean(at.diff(dim=axis).abs(), pairs)
    return total
