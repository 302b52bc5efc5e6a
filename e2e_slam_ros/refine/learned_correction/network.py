"""A small network that turns the evidence of a sweep into depth and its standard deviation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.normed_convolution import normed_convolution
from e2e_slam_ros.refine.learned_correction.features import COARSE, FINE

# Channels at the size of the sweep, at a half of it, at a quarter and so on.
_CHANNELS = (32, 48, 72, 96, 128)
_START_LOG_SIGMA = -2.5


class CorrectionNet(nn.Module):
    """U-Net from `CorrectionFeatures` to a change of log depth, and its log deviation.

    2D convolutions over a cost volume and other cues are enough, as SimpleRecon found (Sayed et
    al., ECCV 2022).

    >>> net = CorrectionNet().eval()
    >>> change, log_sigma = net(torch.zeros(1, COARSE, 24, 32), torch.zeros(1, FINE, 48, 64))
    >>> change.shape, log_sigma.shape
    (torch.Size([1, 1, 48, 64]), torch.Size([1, 1, 24, 32]))
    """

    def __init__(self) -> None:
        super().__init__()
        own = _CHANNELS
        self.fine = _ConvNorm(FINE, 32, stride=2)
        self.coarse = _ConvNorm(COARSE, 32)
        self.join = _ConvNorm(64, own[0])
        self.down = nn.ModuleList(
            nn.Sequential(_ConvNorm(a, b, stride=2), _ConvNorm(b, b))
            for a, b in zip(own[:-1], own[1:], strict=True)
        )
        self.merge = nn.ModuleList(
            _ConvNorm(a + b, a) for a, b in zip(own[:-1], own[1:], strict=True)
        )
        self.head = nn.Conv2d(own[0], 5, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.bias[4] = _START_LOG_SIGMA

    def forward(
        self, coarse: torch.Tensor, fine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the change of log depth (B, 1, 2h, 2w), and log sigma (B, 1, h, w).

        Args:
            coarse, fine: see `CorrectionFeatures`.
        """
        x = self.join(torch.cat([self.coarse(coarse), self.fine(fine)], 1))
        levels = [x]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels[-1]
        for level in reversed(range(len(self.merge))):
            skip = levels[level]
            size = (skip.shape[-2], skip.shape[-1])
            above = functional.interpolate(x, size, mode="bilinear", align_corners=False)
            x = self.merge[level](torch.cat([skip, above], 1))
        out = self.head(x).float()
        return functional.pixel_shuffle(out[:, :4], 2), out[:, 4:]


class _ConvNorm(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of (B, C, H, W)."""
        return functional.relu(normed_convolution(self.conv, self.norm, x), inplace=True)
