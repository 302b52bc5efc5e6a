"""Feature networks: base features for the cost, contextual features for the optimiser."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.resnet import ResNet18
from e2e_slam_ros.multiview.dro.shape import DroShape


def build_encoder(shape: DroShape, images: int, channels: int) -> nn.Module:
    """Return a contextual network from (B, 3 images, H, W) to (B, channels, h, w) at the stride.

    Args:
        images: how many images are stacked in the input.
        channels: of the output.
    """
    if shape.encoder == "resnet18":
        return ResNetFeatures(images, channels)
    return LightFeatures(images, channels)


def build_base(shape: DroShape) -> nn.Module:
    """Return the network from (B, 3, H, W) to base features at the stride of the cost."""
    if shape.cost_stride == shape.stride:
        return build_encoder(shape, 1, shape.features)
    return FineFeatures(shape.features)


class ResNetFeatures(nn.Module):
    """ResNet-18 up to 1/8 of the image, and a 1x1 convolution (paper section 3.2).

    >>> ResNetFeatures(1, 32).eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 32, 8, 8])
    """

    def __init__(self, images: int, channels: int) -> None:
        super().__init__()
        trunk = ResNet18()
        if images > 1:
            trunk.conv1 = nn.Conv2d(3 * images, 64, 7, 2, padding=3, bias=False)
        self.conv1, self.bn1 = trunk.conv1, trunk.bn1
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.out = nn.Conv2d(128, channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return features at 1/8 of an image in [0, 1]."""
        x = functional.relu(self.bn1(self.conv1(4.0 * (image - 0.45))), inplace=True)
        x = self.layer1(functional.max_pool2d(x, 3, 2, padding=1))
        out: torch.Tensor = self.out(self.layer2(x))
        return out


class LightFeatures(nn.Module):
    """A small network to 1/4 of the image that also looks at 1/8 and 1/16.

    >>> LightFeatures(2, 32)(torch.zeros(1, 6, 64, 64)).shape
    torch.Size([1, 32, 16, 16])
    """

    def __init__(self, images: int, channels: int) -> None:
        super().__init__()
        self.first = _step(3 * images, 16, 2, size=5)
        self.quarter = nn.Sequential(_step(16, 32, 2), _step(32, 32, 1))
        self.eighth = nn.Sequential(_step(32, 48, 2), _step(48, 48, 1))
        self.sixteenth = nn.Sequential(_step(48, 64, 2), _step(64, 48, 1))
        self.join = nn.Conv2d(48, 32, 1)
        self.out = nn.Sequential(_step(32, 32, 1), nn.Conv2d(32, channels, 3, padding=1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return features at 1/4 of an image in [0, 1]."""
        quarter = self.quarter(self.first(4.0 * (image - 0.45)))
        eighth = self.eighth(quarter)
        eighth = eighth + _doubled(self.sixteenth(eighth))
        out: torch.Tensor = self.out(quarter + _doubled(self.join(eighth)))
        return out


class FineFeatures(nn.Module):
    """A small network to 1/2 of the image that also looks at 1/4 and 1/8.

    >>> FineFeatures(8)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 8, 32, 32])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_step(3, 16, 2, size=5), _step(16, 16, 1))
        self.quarter = nn.Sequential(_step(16, 32, 2), _step(32, 32, 1))
        self.eighth = nn.Sequential(_step(32, 48, 2), _step(48, 32, 1))
        self.join = nn.Conv2d(32, 16, 1)
        self.out = nn.Conv2d(16, channels, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return features at 1/2 of an image in [0, 1]."""
        half = self.first(4.0 * (image - 0.45))
        quarter = self.quarter(half)
        quarter = quarter + _doubled(self.eighth(quarter))
        out: torch.Tensor = self.out(half + _doubled(self.join(quarter)))
        return out


def _step(channels_in: int, channels_out: int, stride: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2),
        # Brightness and contrast of an image are no matter of its geometry.
        nn.InstanceNorm2d(channels_out, affine=True),
        nn.ReLU(inplace=True),
    )


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
