"""Random changes of light, colour and sharpness, the same for both views of a pair."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from e2e_slam_ros.training.data.config import AugmentConfig

_GREY = (0.299, 0.587, 0.114)


def change_colors(
    images: torch.Tensor, config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Return (N, 3, H, W) images in [0, 1] of one camera, changed alike; noise is independent."""
    draw = (2.0 * torch.rand(12, generator=generator) - 1.0).tolist()
    chance = torch.rand(3, generator=generator).tolist()
    x = images * (1.0 + config.brightness * draw[0])
    mean = x.mean(dim=(-1, -2, -3), keepdim=True)
    x = mean + (x - mean) * (1.0 + config.contrast * draw[1])
    x = torch.einsum("ij,njhw->nihw", _color_matrix(config, draw, chance[0]), x)
    x = x.clamp(1e-4, 1.0) ** math.exp(config.gamma * draw[11])
    if chance[1] < config.blur_share and config.blur_px > 0:
        x = _blurred(x, config.blur_px * 0.5 * (draw[3] + 1.0))
    if chance[2] < config.noise_share and config.noise > 0:
        deviation = config.noise * 0.5 * (draw[4] + 1.0)
        x = x + deviation * torch.randn(x.shape, generator=generator)
    return x.clamp(0.0, 1.0)


def _color_matrix(config: AugmentConfig, draw: list[float], chance: float) -> torch.Tensor:
    """Return (3, 3): saturation, white balance and channels that leak into each other."""
    keep = 0.0 if chance < config.grey_share else 1.0 + config.saturation * draw[2]
    grey = torch.tensor([_GREY]).expand(3, 3)
    saturate = keep * torch.eye(3) + (1.0 - keep) * grey
    balance = torch.diag(1.0 + config.white_balance * torch.tensor(draw[5:8]))
    leak = torch.eye(3)
    leak[(0, 1, 2), (1, 2, 0)] = config.color_mix * torch.tensor(draw[8:11])
    leak = leak / leak.sum(1, keepdim=True)
    return leak @ balance @ saturate


def _blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return images through a Gaussian of ``sigma`` pixels, up to 2 pixels to each side."""
    if sigma < 0.2:
        return x
    at = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 5)
    padded = functional.pad(x, (2, 2, 2, 2), mode="reflect")
    down = functional.conv2d(padded, kernel[..., :, None], groups=3)
    return functional.conv2d(down, kernel[..., None, :], groups=3)
