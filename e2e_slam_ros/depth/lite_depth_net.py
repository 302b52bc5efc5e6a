"""The light depth networks, one of them the default: EfficientNet-Lite with a small decoder."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction, check_size
from e2e_slam_ros.depth.efficientnet_lite import LITE0, LITE2, EfficientNetLite, LiteVariant
from e2e_slam_ros.depth.normed_convolution import normed_convolution

# Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size.
_DECODER_CHANNELS = (32, 48, 64, 96, 128)

# disparity = _GAIN * sigmoid + _OFFSET in 1/metres: depth from 0.1 m to 50 m.
_GAIN, _OFFSET = 10.0, 0.02
# Output of a new network at every pixel: metres, and log of the relative error.
_START_M, _START_LOG_UNCERTAINTY = 2.5, -1.5


class LiteDepthNet(DepthNetwork):
    """Network from image to metric disparity at relative focal length 1, and its uncertainty.

    The network predicts both at half the image's size and enlarges them. Disparity is affine
    across a plane, so the enlargement keeps planes. The uncertainty head is one 3x3 convolution on
    the finest decoder features (paper section 3.3).

    >>> prediction = LiteDepthNet().eval().predict(torch.zeros(1, 3, 64, 64))
    >>> prediction.disparity.shape, prediction.log_uncertainty.shape
    (torch.Size([1, 1, 64, 64]), torch.Size([1, 1, 64, 64]))
    """

    focal_normalised: bool = True
    metric: bool = True
    variant: ClassVar[LiteVariant] = LITE0

    def __init__(self) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(self.variant)
        self.decoder = _Decoder(self.variant.channels())
        start = (1.0 / _START_M - _OFFSET) / _GAIN
        self.disparity = _head(math.log(start / (1.0 - start)))
        self.log_uncertainty = _head(_START_LOG_UNCERTAINTY)

    def predict(self, image: torch.Tensor) -> Prediction:
        """Return disparity between 0.02 and 10.02 and log uncertainty; see `DepthNetwork`."""
        check_size(image.shape[-1], image.shape[-2])
        # Channels last: a sixth less time on a CPU.
        encoded = self.encoder((2.0 * image - 1.0).contiguous(memory_format=torch.channels_last))
        features = self.decoder(encoded)
        # Full precision even under autocast, because bfloat16 has steps of 0.4 %.
        disparity = _GAIN * torch.sigmoid(self.disparity(features).float()) + _OFFSET
        log_uncertainty = self.log_uncertainty(features).float()
        return Prediction(_doubled(disparity), _doubled(log_uncertainty), encoded[-1])


class Lite2DepthNet(LiteDepthNet):
    """`LiteDepthNet` with a wider and deeper encoder, EfficientNet-Lite2.

    >>> Lite2DepthNet().eval().predict(torch.zeros(1, 3, 64, 64)).disparity.shape
    torch.Size([1, 1, 64, 64])
    """

    variant: ClassVar[LiteVariant] = LITE2


class _Decoder(nn.Module):
    """Decoder from the coarsest features to the finest.

    Each level doubles the size, appends the encoder's feature map of that size, and convolves.
    ``reduce[i]`` and ``merge[i]`` belong to the encoder's feature map i, finest first.
    """

    def __init__(self, coming: tuple[int, ...]) -> None:
        super().__init__()
        own = _DECODER_CHANNELS
        self.reduce = nn.ModuleList(
            _ConvNorm(channels, leaving, 1) for channels, leaving in zip(coming, own, strict=True)
        )
        self.merge = nn.ModuleList(
            _ConvNorm(own[level] + own[level + 1], own[level], 3) for level in range(len(own) - 1)
        )

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Return (B, 32, H/2, W/2) from the encoder's five feature maps of an (H, W) image."""
        x: torch.Tensor = self.reduce[-1](features[-1])
        for level in reversed(range(len(self.merge))):
            skip = self.reduce[level](features[level])
            x = self.merge[level](torch.cat([skip, _doubled(x)], dim=1))
        return x


class _ConvNorm(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(normed_convolution(self.conv, self.norm, x), inplace=True)


def _head(bias: float) -> nn.Conv2d:
    """Return a 3x3 convolution of the finest features whose first output is nearly constant."""
    head = nn.Conv2d(_DECODER_CHANNELS[0], 1, 3, padding=1)
    nn.init.normal_(head.weight, std=0.01)
    assert head.bias is not None
    nn.init.constant_(head.bias, bias)
    return head


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
