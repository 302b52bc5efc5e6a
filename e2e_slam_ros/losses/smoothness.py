"""Edge-aware smoothness of inverse depth (SC-SfMLearner eq. 4, first order)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import known, masked_mean, or_one


def smoothness(
    inverse_depth: torch.Tensor, image: torch.Tensor, edge_weight: float = 1.0
) -> torch.Tensor:
    """Return ``mean |dx n| e^(-w |dx I|) + mean |dy n| e^(-w |dy I|)`` with ``n = d / mean(d)``.

    The result is a scalar. Inverse depth is divided by its mean first. A change of scale then
    does not change the loss, so the depth cannot become smooth by shrinking. Image gradients are
    averaged over the channels. The loss is 0 for a constant inverse depth, and 0 when no two
    neighbours are known.

    Args:
        inverse_depth: (B, 1, H, W), 1/m or any unit. Pixels not finite or <= 0 are left out.
        image: (B, C, H, W) in [0, 1].
        edge_weight: w, how strongly an image edge lowers the cost of a depth edge; 1 as published.

    >>> image = torch.zeros(1, 3, 4, 4)
    >>> float(smoothness(torch.full((1, 1, 4, 4), 0.5), image))
    0.0
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
