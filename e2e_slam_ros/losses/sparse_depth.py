"""A few pixels whose depth is known, well or not so well (paper 4.3)."""

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
    """Return ``sum w |f(d) - f(s)| / sum w`` over the pixels that both know, a scalar.

    Args:
        depth: (B, 1, H, W) metres; gradients flow to it.
        sparse: (B, 1, H, W) metres; 0 or not finite = unknown.
        confidence: (B, 1, H, W) >= 0, the weight w; None is 1. Not finite counts as 0.
        space: f. "metric" in metres (the paper's); "log": ratios, the same at any distance;
            "inverse" in 1/m: how errors of triangulated points are distributed.

    Returns:
        0 with gradients 0 where no pixel is known to both, or all confidences are 0.
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
