"""Depth is smooth where the image is (SC-SfMLearner eq. 4, first order)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import known, masked_mean, or_one


def smoothness(
    inverse_depth: torch.Tensor, image: torch.Tensor, edge_weight: float = 1.0
) -> torch.Tensor:
    """Return ``mean |dx n| e^(-w |dx I|) + mean |dy n| e^(-w |dy I|)``, n = d / mean(d); a scalar.

    Divided by its mean, inverse depth cannot become smooth by shrinking: the loss is the same
    for any scale. Image steps are means over the channels. 0 for a constant inverse depth, and
    when no two neighbours are known.

    Args:
        inverse_depth: (B, 1, H, W), 1/m or any unit; not finite or <= 0 is left out.
        image: (B, C, H, W) in [0, 1].
        edge_weight: how much an image edge excuses a step in depth; 1 as published.
    """
    valid = known(inverse_depth)
    depth = or_one(inverse_depth, valid)
    count = valid.sum((1, 2, 3), keepdim=True).clamp_min(1)
    mean = torch.where(valid, depth, torch.zeros_like(depth)).sum((1, 2, 3), keepdim=True) / count
    normalised = depth / torch.where(mean > 0, mean, torch.ones_like(mean))
    total = normalised.new_zeros(())
    for axis in (2, 3):
        last = depth.shape[axis] - 1
        edges = image.diff(dim=axis).abs().mean(1, keepdim=True)
        steps = normalised.diff(dim=axis).abs() * torch.exp(-edge_weight * edges)
        pairs = valid.narrow(axis, 0, last) & valid.narrow(axis, 1, last)
        total = total + masked_mean(steps, pairs)
    return total
