"""Loss against sparse known depth, with a confidence for each pixel (paper 4.3)."""

from __future__ import annotations

from typing import Literal

import torch

from e2e_slam_ros.geometry.masks import known, masked_mean, or_one

DepthSpace = Literal["metric", "log", "inverse"]


def sparse_depth_loss(
    depth: torch.Tensor,
    sparse: torch.Tensor,
    confidence: torch.Tensor | None = None,
    space: DepthSpace = "log",
) -> torch.Tensor:
    """Return ``sum w |f(d) - f(s)| / sum w`` over the pixels known in both depths, a scalar.

    Args:
        depth: (B, 1, H, W) metres; gradients flow to it.
        sparse: (B, 1, H, W) metres; 0 or not finite = unknown.
        confidence: (B, 1, H, W) >= 0, the weight w. None means 1 everywhere. A value that is not
            finite counts as 0.
        space: the function f. "metric" compares metres, as the paper does. "log" compares ratios,
            so an error of 10 % costs the same at any distance. "inverse" compares 1/m, the unit
            in which errors of triangulated points are distributed evenly.

    Returns:
        The loss. It is 0 with gradients 0 when no pixel is known in both or all weights are 0.

    >>> depth = torch.full((1, 1, 2, 2), 2.0)
    >>> round(float(sparse_depth_loss(depth, depth + 0.5, space="metric")), 6)
    0.5
    """
    both = known(depth) & known(sparse)
    if confidence is not None:
        both &= known(confidence)
    here, there = or_one(depth, both), or_one(sparse, both)
    if space == "log":
        difference = here.log() - there.log()
    elif space == "inverse":
        difference = here.reciprocal() - there.reciprocal()
    else:
        difference = here - there
    return masked_mean(difference.abs(), both, confidence)
