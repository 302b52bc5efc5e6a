"""EfficientNet-Lite0 as an encoder of five feature maps (Tan & Le 2019, the "lite" variant)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.normed_convolution import normed_convolution

# The seven stages: repeats, kernel, stride of the first block, expansion, channels.
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
# Last stage at each of the sizes 1/2, 1/4, 1/8, 1/16 and 1/32, and its channels.
_TAPS = (0, 1, 2, 4, 6)
CHANNELS = tuple(_STAGES[tap][-1] for tap in _TAPS)

# Normalisation of the image in the training of the published weights.
_NORM_EPS, _NORM_MOMENTUM = 1e-3, 0.01


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 encoder: features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size.

    The image is normalised to about [-1, 1]. The "lite" variant has no squeeze-and-excitation,
    ReLU6 instead of swish, and a stem and head that are not scaled. The head and the classifier
    are left out here. Weights are random until they are loaded.

    >>> features = EfficientNetLite0().eval()(torch.zeros(1, 3, 64, 64))
    >>> [feature.shape[-1] for feature in features]
    [32, 16, 8, 4, 2]
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _ConvNorm(3, _STEM_CHANNELS, 3, stride=2)
        self.stages = nn.ModuleList()
        coming = _STEM_CHANNELS
        for repeats, kernel, stride, expansion, channels in _STAGES:
            blocks: list[nn.Module] = []
            for index in range(repeats):
                first = index == 0
                blocks.append(_Block(coming, channels, kernel, stride if first else 1, expansion))
                coming = channels
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return (B, C, H/s, W/s) for s = 2, 4, 8, 16, 32 with C of `CHANNELS`.

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
