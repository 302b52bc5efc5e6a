"""Residual flow and its confidence between two feature maps (DeepV2D section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.multiview.deepv2d.blocks import Residual, conv

_RADIUS = 3


class ResidualFlowNetwork(nn.Module):
    """An encoder-decoder with skip connections by concatenation (figure 8).

    Its channels are not in the paper's text. Beside both feature maps it gets their correlation
    in a window of 7x7, which the paper has not: it makes short flows easy to learn.

    Args:
        features: channels of a feature map.
        channels: of the levels, finest first.

    >>> network = ResidualFlowNetwork(8, (16, 24))
    >>> residual, weight = network(torch.zeros(1, 8, 12, 16), torch.zeros(1, 8, 12, 16))
    >>> residual.shape, weight.shape
    (torch.Size([1, 2, 12, 16]), torch.Size([1, 2, 12, 16]))
    """

    def __init__(self, features: int, channels: Sequence[int]) -> None:
        super().__init__()
        coming = 2 * features + (2 * _RADIUS + 1) ** 2
        self.first = Residual(2, coming, channels[0])
        pairs = list(zip(channels[:-1], channels[1:], strict=True))
        self.down = nn.ModuleList(
            nn.Sequential(conv(2, a, b, stride=2), nn.ReLU(), Residual(2, b, b)) for a, b in pairs
        )
        self.up = nn.ModuleList(Residual(2, a + b, a) for a, b in reversed(pairs))
        self.head = nn.Conv2d(channels[0], 4, 3, padding=1)
        nn.init.normal_(self.head.weight, std=1e-3)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(
        self, keyframe: torch.Tensor, warped: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return R in pixels of the feature map, and W in (0, 1), (B, 2, h, w) each.

        Args:
            keyframe: (B, C, h, w), F_i.
            warped: (B, C, h, w), F_j warped to frame i with the present poses.
        """
        x = self.first(torch.cat([keyframe, warped, _correlation(keyframe, warped)], dim=1))
        skips = []
        for layer in self.down:
            skips.append(x)
            x = layer(x)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            size = skip.shape[-2:]
            x = functional.interpolate(x, size, mode="bilinear", align_corners=False)
            x = layer(torch.cat([skip, x], dim=1))
        out = self.head(x)
        return out[:, :2], out[:, 2:].sigmoid()


def _correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return (B, 49, h, w): correlation with the other map, shifted by up to 3 pixels.

    Each channel is normalised over the image first: what all pixels share says nothing.
    """
    one, other = functional.instance_norm(one), functional.instance_norm(other)
    batch, channels, height, width = one.shape
    side = 2 * _RADIUS + 1
    windows = functional.unfold(other, side, padding=_RADIUS)
    windows = windows.reshape(batch, channels, side * side, height, width)
    return (windows * one.unsqueeze(2)).mean(1)
