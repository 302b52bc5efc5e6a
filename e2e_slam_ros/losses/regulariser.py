"""Regulariser that keeps refined depth near the network's first prediction (paper eq. 4)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import known, masked_mean, or_one


def depth_regulariser(
    initial: torch.Tensor,
    current: torch.Tensor,
    *,
    scale: torch.Tensor | float = 1.0,
    gamma: float = 1e-2,
) -> torch.Tensor:
    """Return ``gamma * mean |s D_0 - s D_i|`` over the pixels known in both depths, a scalar.

    Pass both depths in the network's unit. This function applies the scale to both. The published
    code scaled only one of them. The result is 0 when no pixel is known in both.

    Args:
        initial: (B, 1, H, W), D_0 in network units or metres; a constant, without gradient.
        current: (B, 1, H, W), D_i in the same unit; gradients flow to it.
        scale: metres per unit, a number or a tensor that broadcasts; a constant, without gradient.
        gamma: weight of the term.

    >>> depth = torch.ones(1, 1, 2, 2)
    >>> round(float(depth_regulariser(depth, depth + 0.5, gamma=0.1)), 6)
    0.05
    """
    both = known(initial) & known(current)
    if isinstance(scale, torch.Tensor):
        scale = scale.detach()
    step = or_one(initial.detach(), both) - or_one(current, both)
    return gamma * masked_mean((scale * step).abs(), both)
