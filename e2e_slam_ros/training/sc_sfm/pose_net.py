"""Camera motion between two images, predicted where it is not known."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.depth.resnet import CHANNELS, ResNet18
from e2e_slam_ros.geometry.se3 import exp

POSE_NETWORKS = ("small", "resnet18")

# Channels and kernels of the seven convolutions, each halving the size (SfMLearner's encoder).
_SMALL = ((16, 7), (32, 5), (64, 3), (128, 3), (256, 3), (256, 3), (256, 3))
# A fresh network then says centimetres and tenths of degrees: the motion of neighbouring frames.
_STEP = 0.01
# Images are centred as the depth network's are.
_MEAN, _DEVIATION = 0.45, 0.225


class PoseNet(nn.Module):
    """Two images, one above the other in the channels, to the rigid motion between the cameras.

    The twist is the mean over the last feature map (Zhou et al. 2017, without the mask branch);
    its unit of length is whatever the depth network's is.

    >>> image = torch.zeros(1, 3, 64, 64)
    >>> PoseNet("small")(image, image).shape
    torch.Size([1, 4, 4])
    """

    def __init__(self, encoder: str = "small") -> None:
        super().__init__()
        if encoder not in POSE_NETWORKS:
            raise ConfigError.from_parts(
                "pose_network", repr(encoder), "one of " + ", ".join(POSE_NETWORKS), "choose one"
            )
        self.encoder: nn.Module = _SmallEncoder() if encoder == "small" else _ResNetEncoder()
        channels = _SMALL[-1][0] if encoder == "small" else CHANNELS[-1]
        self.twist = nn.Conv2d(channels, 6, 1)

    def forward(self, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Return T_source_target (B, 4, 4) float32 of two image batches (B, 3, H, W) in [0, 1]."""
        images = (torch.cat([target, source], dim=1) - _MEAN) / _DEVIATION
        twist = self.twist(self.encoder(images)).float().mean((2, 3))
        return exp(_STEP * twist)


class _SmallEncoder(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = []
        coming = 6
        for channels, kernel in _SMALL:
            layers += [
                nn.Conv2d(coming, channels, kernel, stride=2, padding=kernel // 2),
                nn.ReLU(inplace=True),
            ]
            coming = channels
        super().__init__(*layers)
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)


class _ResNetEncoder(nn.Module):
    """ResNet-18 whose first convolution takes six channels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = ResNet18()
        self.features.conv1 = nn.Conv2d(6, CHANNELS[0], 7, 2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.features.conv1.weight, mode="fan_out", nonlinearity="relu")
        del self.features.fc
        self.squeeze = nn.Conv2d(CHANNELS[-1], CHANNELS[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.squeeze(self.features(images)[-1])
        return functional.relu(features, inplace=True)
