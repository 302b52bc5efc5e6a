"""Loss on the gradient of log depth (Li & Snavely 2018, "MegaDepth", eq. 4)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import masked_mean


def depth_gradient_loss(error: torch.Tensor, valid: torch.Tensor, scales: int = 4) -> torch.Tensor:
    """Return the multi-scale gradient loss, the sum over scales of ``mean |dx e| + mean |dy e|``.

    The result is a scalar. ``e`` is the difference of the log depths. A constant factor on the
    depth adds a constant to ``e``, so it costs nothing.

    Each scale keeps every second pixel of the scale before. In this way coarse errors, such as
    the tilt of a wall, weigh as much as fine ones. Only pairs of neighbours that are both known
    count.

    Args:
        error: (B, 1, H, W), from `log_depth_error`.
        valid: (B, 1, H, W) bool.
        scales: number of scales, at least 1. A scale smaller than 2 pixels is skipped.

    >>> error = torch.arange(4.0).view(1, 1, 1, 4)  # a ramp: one step a pixel
    >>> depth_gradient_loss(error, torch.ones_like(error, dtype=torch.bool), scales=1)
    tensor(1.)
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
