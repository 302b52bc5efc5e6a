"""The 2-D encoder of the depth module: an image to features at quarter size."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.multiview.deepv2d.architecture import DeepV2DArchitecture
from e2e_slam_ros.multiview.deepv2d.blocks import Hourglass, Residual, conv

# Images are centred.
_MEAN, _DEVIATION = 0.45, 0.225


class FeatureEncoder(nn.Module):
    """Residual convolutions, then stacked hourglasses (DeepV2D section 3.1, figure 9).

    Args:
        architecture: sizes.
        features: channels of the result.
        hourglasses: how many, 0 for none.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> FeatureEncoder(LIGHT, 32, 1)(torch.zeros(1, 3, 64, 96)).shape
    torch.Size([1, 32, 16, 24])
    """

    def __init__(self, architecture: DeepV2DArchitecture, features: int, hourglasses: int) -> None:
        super().__init__()
        half, quarter = architecture.stem
        wide = architecture.hourglass[0]
        self.to_half = conv(2, 3, half, 7, stride=2)
        self.at_half = Residual(2, half, half)
        self.to_quarter = conv(2, half, quarter, stride=2)
        self.at_quarter = nn.Sequential(Residual(2, quarter, quarter), Residual(2, quarter, wide))
        self.hourglasses = nn.Sequential(
            *(Hourglass(2, architecture.hourglass) for _ in range(hourglasses))
        )
        self.out = nn.Conv2d(wide, features, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, C, H / 4, W / 4) of images (B, 3, H, W) in [0, 1], RGB."""
        x = (images - _MEAN) / _DEVIATION
        x = self.at_half(functional.relu(self.to_half(x)))
        x = self.at_quarter(functional.relu(self.to_quarter(x)))
        features: torch.Tensor = self.out(self.hourglasses(x))
        return features
