"""The paper's scale head: a 1x1 convolution of depth learned from the photometric loss (B.2)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.refine.descent import Descent, descend
from e2e_slam_ros.refine.objective import Evaluation
from e2e_slam_ros.refine.scale import Scale


class ScaleHead(nn.Module):
    """``weight * depth + bias``, kept from one keyframe to the next.

    Args:
        scale, shift: first values; the shift is learned only if ``with_shift``.
        with_shift: learn the bias too, as published.

    Example:
        >>> head = ScaleHead(scale=2.0)
        >>> head(torch.full((1, 1, 1, 2), 1.5)).detach()
        tensor([[[[3., 3.]]]])
        >>> head.scale().factor
        2.0
    """

    def __init__(self, scale: float = 1.0, shift: float = 0.0, with_shift: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=with_shift)
        nn.init.constant_(self.conv.weight, scale)
        if self.conv.bias is not None:
            nn.init.constant_(self.conv.bias, shift)

    def forward(self, depth: torch.Tensor) -> torch.Tensor:
        """Return (1, 1, H, W) metres, > 0, of the network's depth."""
        scaled: torch.Tensor = self.conv(depth)
        return scaled.clamp_min(1e-3)

    def scale(self) -> Scale:
        """Return the learned scale and shift."""
        shift = 0.0 if self.conv.bias is None else float(self.conv.bias.detach())
        return Scale(float(self.conv.weight.detach()), shift)


def learn_scale(
    head: ScaleHead,
    depth: torch.Tensor,
    loss: Callable[[torch.Tensor], Evaluation],
    config: RefineConfig,
    steps: int = 30,
) -> Descent:
    """Improve ``head`` on one keyframe; the network's depth is a constant here.

    Args:
        head: changed in place; unchanged if the loss did not fall.
        depth: (1, 1, h, w), the network's units.
        loss: `Objective` of depth in metres, photometric term only.
        config: learning rate of ``scale`` (paper: 0.04) and the guard.
        steps: largest number of steps; 30 as in the paper.
    """
    optimiser = torch.optim.Adam(head.parameters(), lr=config.scale.learning_rate)
    fixed = depth.detach().clone()
    parameters = list(head.parameters())
    return descend(parameters, lambda: loss(head(fixed)), optimiser, steps, config.guard)
