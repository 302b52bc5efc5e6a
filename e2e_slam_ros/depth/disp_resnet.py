"""The single-image disparity network of SC-SfMLearner (Bian et al., NeurIPS 2019)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction, check_size
from e2e_slam_ros.depth.resnet import CHANNELS, ResNet18

# Channels of the decoder's levels, finest (full size) first. Levels with a disparity output.
_DECODER_CHANNELS = (16, 32, 64, 128, 256)
_OUTPUT_LEVELS = (0, 1, 2, 3)

# disparity = _GAIN * sigmoid + _OFFSET, in 1 / (unit of the training motion).
_GAIN, _OFFSET = 10.0, 0.01

# Mean and standard deviation in the training of the published weights, for all channels.
_MEAN, _DEVIATION = 0.45, 0.225


class DispResNet18(DepthNetwork):
    """Network from image to disparity: ResNet-18 encoder, decoder with skip connections, 4 scales.

    ``state_dict`` has exactly the keys of the authors' published checkpoints
    (``encoder.encoder.conv1.weight`` ... ``decoder.decoder.13.conv.bias``).
    A new network has random weights. Load weights before you use its predictions.

    >>> network = DispResNet18().eval()
    >>> network.predict(torch.zeros(1, 3, 64, 64)).disparity.shape
    torch.Size([1, 1, 64, 64])
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Encoder()
        self.decoder = _Decoder()

    def predict(self, image: torch.Tensor) -> Prediction:
        """Return the finest disparity, between 0.01 and 10.01. Its inverse is depth up to scale.

        Image sizes are in pixels, multiples of 32, at least 64; see `DepthNetwork`.
        """
        disparity: torch.Tensor = self.decoder(self._features(image), levels=(0,))[0]
        return Prediction(disparity, log_uncertainty=None)

    def pyramid(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the disparities at full, 1/2, 1/4 and 1/8 size. The input is as for `predict`."""
        disparities: list[torch.Tensor] = self.decoder(self._features(image), _OUTPUT_LEVELS)
        return disparities

    def _features(self, image: torch.Tensor) -> list[torch.Tensor]:
        check_size(image.shape[-1], image.shape[-2])
        features: list[torch.Tensor] = self.encoder((image - _MEAN) / _DEVIATION)
        return features


class _Encoder(nn.Module):
    """Holds the ResNet under its name in the published checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet18()

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features: list[torch.Tensor] = self.encoder(x)
        return features


class _Decoder(nn.Module):
    """Decoder from features to disparities (Godard et al. 2019, table 5, without its last level).

    Each level convolves, doubles the size, appends the encoder's feature map of that size, and
    convolves again. ``decoder`` lists the ten convolutions from coarse to fine, and then the
    disparity outputs from fine to coarse. This is the order of the published checkpoints.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        coming = CHANNELS[-1]
        for level in reversed(range(len(_DECODER_CHANNELS))):
            channels = _DECODER_CHANNELS[level]
            skip = CHANNELS[level - 1] if level > 0 else 0
            layers += [_ActiveConv(coming, channels), _ActiveConv(channels + skip, channels)]
            coming = channels
        layers += [_PaddedConv(_DECODER_CHANNELS[level], 1) for level in _OUTPUT_LEVELS]
        self.decoder = nn.ModuleList(layers)

    def forward(self, features: list[torch.Tensor], levels: tuple[int, ...]) -> list[torch.Tensor]:
        """Return the disparities of ``levels`` (0 = full size), in ascending order."""
        coarsest = len(_DECODER_CHANNELS) - 1
        outputs: list[torch.Tensor] = []
        x = features[-1]
        for level in range(coarsest, -1, -1):
            first = 2 * (coarsest - level)
            x = functional.interpolate(self.decoder[first](x), scale_factor=2.0, mode="nearest")
            if level > 0:
                x = torch.cat([x, features[level - 1]], dim=1)
            x = self.decoder[first + 1](x)
            if level in levels:
                output = self.decoder[2 * len(_DECODER_CHANNELS) + level](x)
                outputs.insert(0, _GAIN * torch.sigmoid(output) + _OFFSET)
        return outputs


class _PaddedConv(nn.Module):
    """3x3 convolution with reflection padding."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        convolved: torch.Tensor = self.conv(functional.pad(x, (1, 1, 1, 1), mode="reflect"))
        return convolved


class _ActiveConv(nn.Module):
    """`_PaddedConv`, followed by ELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = _PaddedConv(channels_in, channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.elu(self.conv(x), inplace=True)
