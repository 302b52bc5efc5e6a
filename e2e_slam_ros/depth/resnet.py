"""ResNet-18 as a feature pyramid."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Channels of the five feature maps, finest (half the input's size) first.
CHANNELS = (64, 64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, figure 5 left).

    >>> ResidualBlock(8, 16, 2)(torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 16, 2, 2])
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, channels_out, H / stride, W / stride) of (B, channels_in, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        residual = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(residual)) + shortcut, inplace=True)


class ResNet18(nn.Module):
    """ResNet-18 that returns the features of its five stages (He et al. 2016, table 1).

    Parameter names are those of the widely published ImageNet weights. The classification head
    ``fc`` is kept, so that such weights load strictly. It is never evaluated. It is zero and
    frozen until weights are loaded.

    >>> features = ResNet18().eval()(torch.zeros(1, 3, 64, 64))
    >>> [feature.shape[-1] for feature in features]
    [32, 16, 8, 4, 2]
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        self.layer1 = _stage(CHANNELS[0], CHANNELS[1], stride=1)
        self.layer2 = _stage(CHANNELS[1], CHANNELS[2], stride=2)
        self.layer3 = _stage(CHANNELS[2], CHANNELS[3], stride=2)
        self.layer4 = _stage(CHANNELS[3], CHANNELS[4], stride=2)
        self.fc = nn.Linear(CHANNELS[4], 1000).requires_grad_(False)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of (B, 3, H, W) at 1/2, 1/4, 1/8, 1/16 and 1/32 of its size."""
        first = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        second = self.layer1(functional.max_pool2d(first, 3, 2, padding=1))
        third = self.layer2(second)
        fourth = self.layer3(third)
        return [first, second, third, fourth, self.layer4(fourth)]


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(channels_in, channels_out, stride),
        ResidualBlock(channels_out, channels_out, 1),
    )
