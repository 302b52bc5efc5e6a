"""Random changes of light, colour and sharpness, the same for all views of a camera."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.training.data.config import AugmentConfig

_GREY = (0.299, 0.587, 0.114)
# A blur below this many pixels is none; one reaches two pixels to each side.
_LEAST_BLUR_PX, _REACH_PX = 0.2, 2


def change_colors(
    images: torch.Tensor, config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Return (N, 3, H, W) images in [0, 1] of one camera, changed alike; noise is independent."""
    return change_colors_each(images[None], config, generator)[0]


def change_colors_each(
    images: torch.Tensor, config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Return images of several cameras, those of each changed alike; noise is independent.

    Args:
        images: (B, V, 3, H, W) in [0, 1], V images of each of B cameras.
        generator: on the CPU. Only noise is drawn on the images' device, from a seed of it.
    """
    count, device = len(images), images.device
    draw = 2.0 * torch.rand(count, 12, generator=generator) - 1.0
    chance = torch.rand(count, 3, generator=generator)
    blur = config.blur_px * 0.5 * (draw[:, 3] + 1.0)
    blur = torch.where(chance[:, 1] < config.blur_share, blur, 0.0)
    noise = config.noise * 0.5 * (draw[:, 4] + 1.0)
    noise = torch.where(chance[:, 2] < config.noise_share, noise, 0.0)
    matrix = _color_matrices(config, draw, chance[:, 0]).to(device)
    some_blur, some_noise = bool((blur >= _LEAST_BLUR_PX).any()), bool((noise > 0).any())
    draw, blur, noise = draw.to(device), blur.to(device), noise.to(device)

    x = images * _each(1.0 + config.brightness * draw[:, 0])
    mean = x.mean(dim=(-1, -2, -3), keepdim=True)
    x = mean + (x - mean) * _each(1.0 + config.contrast * draw[:, 1])
    x = torch.einsum("bij,bnjhw->bnihw", matrix, x)
    x = x.clamp(1e-4, 1.0) ** _each(torch.exp(config.gamma * draw[:, 11]))
    if some_blur:
        x = _blurred(x, blur)
    if some_noise:
        x = x + _each(noise) * _normal(x, generator)
    return x.clamp(0.0, 1.0)


def _each(values: torch.Tensor) -> torch.Tensor:
    """Return one value of each camera, (B,), for all its pixels."""
    return values[:, None, None, None, None]


def _normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return standard normal numbers of the shape and device of ``like``."""
    if like.device.type == "cpu":
        return torch.randn(like.shape, generator=generator)
    there = torch.Generator(like.device)
    there.manual_seed(int(torch.randint(2**62, (), generator=generator)))
    return torch.randn(like.shape, generator=there, device=like.device)


def _color_matrices(
    config: AugmentConfig, draw: torch.Tensor, chance: torch.Tensor
) -> torch.Tensor:
    """Return (B, 3, 3): saturation, white balance and channels that leak into each other."""
    keep = torch.where(chance < config.grey_share, 0.0, 1.0 + config.saturation * draw[:, 2])
    keep = keep[:, None, None]
    grey = torch.tensor([_GREY]).expand(3, 3)
    saturate = keep * torch.eye(3) + (1.0 - keep) * grey
    balance = torch.diag_embed(1.0 + config.white_balance * draw[:, 5:8])
    leak = torch.eye(3).repeat(len(draw), 1, 1)
    leak[:, (0, 1, 2), (1, 2, 0)] = config.color_mix * draw[:, 8:11]
    leak = leak / leak.sum(2, keepdim=True)
    return leak @ balance @ saturate


def _blurred(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return images (B, V, 3, H, W) through a Gaussian of ``sigma`` (B,) pixels.

    Images of a sigma that is too small to matter stay as they are.
    """
    at = torch.arange(-_REACH_PX, _REACH_PX + 1.0, device=x.device)
    kernel = torch.exp(-0.5 * (at / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = torch.where(sigma[:, None] < _LEAST_BLUR_PX, (at == 0).to(x), kernel)
    kernel = kernel / kernel.sum(1, keepdim=True)
    images = x.shape[1] * x.shape[2]
    kernel = kernel.repeat_interleave(images, 0)[:, None]
    padded = functional.pad(x.flatten(1, 2).flatten(0, 1)[None], (_REACH_PX,) * 4, mode="reflect")
    down = functional.conv2d(padded, kernel[..., :, None], groups=len(kernel))
    across = functional.conv2d(down, kernel[..., None, :], groups=len(kernel))
    return across.reshape(x.shape)
