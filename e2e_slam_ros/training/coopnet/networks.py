"""Small networks of depth and flow that learn on one core."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
from e2e_slam_ros.multiview.deepv2d.blocks import Residual, conv
from e2e_slam_ros.multiview.deepv2d.feature_encoder import FeatureEncoder
from e2e_slam_ros.multiview.deepv2d.flow_network import ResidualFlowNetwork

_CHANNELS = (16, 32, 48, 64, 96)
_NEAR, _FAR = 0.3, 10.0
_MEAN, _DEVIATION = 0.45, 0.225


class CoopDepthNet(nn.Module):
    """One image to depth, an encoder-decoder with skip connections.

    Depth lies between 0.3 and 10 units. The sigmoid of the output of ``head`` minus 2 says where
    inverse depth lies between the two ends.

    >>> CoopDepthNet()(torch.zeros(1, 3, 64, 96)).shape
    torch.Size([1, 1, 64, 96])
    """

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip((3, *_CHANNELS), _CHANNELS, strict=False))
        self.down = nn.ModuleList(
            nn.Sequential(conv(2, a, b, stride=2), nn.ReLU(), Residual(2, b, b)) for a, b in pairs
        )
        inner = list(zip(_CHANNELS[:-1], _CHANNELS[1:], strict=True))
        self.up = nn.ModuleList(Residual(2, a + b, a) for a, b in reversed(inner))
        self.head = nn.Conv2d(_CHANNELS[0], 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return depth (B, 1, H, W) of images (B, 3, H, W) in [0, 1], RGB."""
        x = (image - _MEAN) / _DEVIATION
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for layer, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = functional.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = layer(torch.cat([skip, x], dim=1))
        size = image.shape[-2:]
        value = functional.interpolate(self.head(x), size, mode="bilinear", align_corners=False)
        inverse = 1.0 / _FAR + (1.0 / _NEAR - 1.0 / _FAR) * (value.float() - 2.0).sigmoid()
        return inverse.reciprocal()


class CoopFlowNet(nn.Module):
    """Two images to the flow of the first one's pixels; at quarter size, then enlarged.

    >>> image = torch.zeros(1, 3, 64, 96)
    >>> CoopFlowNet()(image, image).shape
    torch.Size([1, 2, 64, 96])
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = replace(LIGHT, stem=(16, 32), hourglass=(32,))
        self.encoder = FeatureEncoder(sizes, 32, 0)
        self.flow = ResidualFlowNetwork(32, (32, 48, 64, 96))

    def forward(self, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Return F (B, 2, H, W) in pixels: target pixel p is at p + F(p) in the source."""
        both = self.encoder(torch.cat([target, source]))
        flow, _ = self.flow(*both.chunk(2))
        size = target.shape[-2:]
        large = functional.interpolate(flow, size, mode="bilinear", align_corners=False)
        scale = target.shape[-1] / flow.shape[-1]
        return scale * large.float()
