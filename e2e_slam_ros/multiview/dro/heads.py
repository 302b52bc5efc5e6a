"""Heads: features to depth, to a pose, and coarse depth to the image's size."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

# Depth that a new network predicts everywhere, metres.
_START_M = 2.0
# Weights that begin at 0 give a first update of 0: an untrained optimiser changes nothing.
_MASK_SCALE = 0.25


class DepthHead(nn.Module):
    """Two convolutions to one channel (paper section 3.3.1).

    Args:
        channels: of the input.
        start: the output of a new network, everywhere.

    >>> DepthHead(8, start=0.5)(torch.zeros(1, 8, 4, 4)).mean().item()
    0.5
    """

    def __init__(self, channels: int, start: float = 0.0) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(_bias(self.out), start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, 1, h, w)."""
        out: torch.Tensor = self.out(functional.relu(self.hidden(x)))
        return out.float()


def first_depth_head(channels: int) -> DepthHead:
    """Return the head that gives the first log depth."""
    return DepthHead(channels, math.log(_START_M))


class PoseHead(nn.Module):
    """Two convolutions and the mean over the image: a twist (paper section 3.3.1).

    >>> PoseHead(8)(torch.zeros(3, 8, 4, 4)).shape
    torch.Size([3, 6])
    """

    # Outputs of order 1 are centimetres and degrees.
    scale = 0.01

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, 6, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(_bias(self.out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, 6): translation in metres, rotation vector in radians."""
        out: torch.Tensor = self.out(functional.relu(self.hidden(x)))
        return self.scale * out.float().mean((2, 3))


class ConvexUpsampling(nn.Module):
    """Each fine pixel is a weighted mean of the 3x3 coarse pixels around it (Teed, Deng 2020).

    Args:
        channels: of the state that the weights are made from.
        factor: fine pixels for each coarse one, along each axis.

    >>> up = ConvexUpsampling(8, factor=4)
    >>> up(torch.full((1, 1, 4, 4), 3.0), torch.zeros(1, 8, 4, 4)).mean().item()
    3.0
    """

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.hidden = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.out = nn.Conv2d(2 * channels, 9 * factor**2, 1)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            _bias(self.out).copy_(_bilinear_start(factor))

    def forward(self, coarse: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return (B, 1, factor h, factor w) of (B, 1, h, w) and a state (B, channels, h, w)."""
        batch, _, height, width = coarse.shape
        weight = _MASK_SCALE * self.out(functional.relu(self.hidden(state))).float()
        weight = weight.view(batch, 9, self.factor, self.factor, height, width).softmax(1)
        around = functional.unfold(functional.pad(coarse, (1, 1, 1, 1), mode="replicate"), 3)
        around = around.view(batch, 9, 1, 1, height, width)
        fine = (weight * around).sum(1).permute(0, 3, 1, 4, 2)
        return fine.reshape(batch, 1, self.factor * height, self.factor * width)


def _bilinear_start(factor: int) -> torch.Tensor:
    """Return (9 factor^2,) logits of weights close to bilinear interpolation."""
    at = (torch.arange(factor) + 0.5) / factor - 0.5
    line = (1.0 - (at[None] - torch.arange(-1.0, 2.0)[:, None]).abs()).clamp_min(1e-3)
    weight = line[:, None, :, None] * line[None, :, None, :]
    return (weight.log() / _MASK_SCALE).reshape(-1)


def _bias(layer: nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias
