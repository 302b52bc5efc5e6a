"""EfficientNet-Lite as an encoder of five feature maps (Tan & Le 2019, the "lite" variants)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.normed_convolution import normed_convolution

# The seven stages of Lite0: repeats, kernel, stride of the first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
# Last stage at each of the sizes 1/2, 1/4, 1/8, 1/16 and 1/32.
_TAPS = (0, 1, 2, 4, 6)

# Normalisation of the image in the training of the published weights.
_NORM_EPS, _NORM_MOMENTUM = 1e-3, 0.01


@dataclass(frozen=True)
class LiteVariant:
    """How much wider and deeper a variant is than Lite0.

    Attributes:
        name: as in the names of published files.
        width: factor of the channels, which are then rounded to multiples of 8.
        depth: factor of the repeats, rounded up; the first and last stage are not repeated.

    >>> LITE2.stages()[2]
    (3, 5, 2, 6, 48)
    """

    name: str
    width: float
    depth: float

    def stages(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """Return repeats, kernel, stride of the first block, expansion and channels of each."""
        last = len(_STAGES) - 1
        return tuple(
            (
                repeats if index in (0, last) else math.ceil(repeats * self.depth),
                kernel,
                stride,
                expansion,
                _rounded(channels * self.width),
            )
            for index, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES)
        )

    def channels(self) -> tuple[int, ...]:
        """Return the channels of the five feature maps, finest first."""
        stages = self.stages()
        return tuple(stages[tap][-1] for tap in _TAPS)


LITE0 = LiteVariant("lite0", 1.0, 1.0)
LITE2 = LiteVariant("lite2", 1.1, 1.2)


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite encoder: features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size.

    The image is normalised to about [-1, 1]. The "lite" variants have no squeeze-and-excitation,
    ReLU6 instead of swish, and a stem and head that are not scaled. The head and the classifier
    are left out here. Weights are random until they are loaded.

    >>> features = EfficientNetLite().eval()(torch.zeros(1, 3, 64, 64))
    >>> [feature.shape[-1] for feature in features]
    [32, 16, 8, 4, 2]
    """

    def __init__(self, variant: LiteVariant = LITE0) -> None:
        super().__init__()
        self.variant = variant
        self.stem = _ConvNorm(3, _STEM_CHANNELS, 3, stride=2)
        self.stages = nn.ModuleList()
        coming = _STEM_CHANNELS
        for repeats, kernel, stride, expansion, channels in variant.stages():
            blocks: list[nn.Module] = []
            for index in range(repeats):
                first = index == 0
                blocks.append(_Block(coming, channels, kernel, stride if first else 1, expansion))
                coming = channels
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return (B, C, H/s, W/s) for s = 2, 4, 8, 16, 32, C as `LiteVariant.channels` says.

        Args:
            image: (B, 3, H, W), H and W multiples of 32.
        """
        x = functional.relu6(self.stem(image), inplace=True)
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPS:
                features.append(x)
        return features


class _ConvNorm(nn.Module):
    """Convolution and norm. The padding is TensorFlow's "same", as in training."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        # At an even size, stride 2 pads one pixel more at the end than at the start.
        total = kernel - stride
        self.pad = (total // 2, total - total // 2) * 2 if total % 2 else None
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride,
            padding=0 if self.pad else total // 2,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(channels_out, eps=_NORM_EPS, momentum=_NORM_MOMENTUM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pad is not None:
            x = functional.pad(x, self.pad)
        return normed_convolution(self.conv, self.norm, x)


class _Block(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project, add the input if shapes agree."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = _ConvNorm(channels_in, inner, 1) if expansion > 1 else None
        self.depthwise = _ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = _ConvNorm(inner, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        inner = functional.relu6(self.depthwise(inner), inplace=True)
        projected: torch.Tensor = self.project(inner)
        return x + projected if self.residual else projected


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8 that is at least nine tenths of ``channels``."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8
