"""Keeps refined depth near what the network said at first (paper eq. 4)."""

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
    """Return ``gamma * mean |s D_0 - s D_i|`` over the pixels that both know, a scalar.

    Both depths are passed as the network gives them, and the scale is applied to both here: the
    published code compared one with a scale and one without. No pixel in common costs 0.

    Args:
        initial: (B, 1, H, W), D_0, network units or metres; a constant, no gradient.
        current: (B, 1, H, W), D_i in the same units; gradients flow to it.
        scale: metres per unit, a number or a tensor that broadcasts; a constant, no gradient.
        gamma: weight of the term.
    """
    both = known(initial) & known(current)
    if isinstance(scale, torch.Tensor):
        scale = scale.detach()
    step = or_one(initial.detach(), both) - or_one(current, both)
    return gamma * masked_mean((scale * step).abs(), both)
