"""Texture of pixels: photometric losses and stereo need it."""

from __future__ import annotations

import torch
from torch.nn import functional

# Mean gradient of grey around a textured pixel, per pixel, of grey in [0, 1]: 5 of 255 grey
# levels. At 320 pixels width half of what the recordings show is above.
TEXTURE_THRESHOLD = 0.02
_WINDOW = 7
# ITU-R BT.601: how bright red, green and blue look.
_LUMA = (0.299, 0.587, 0.114)


def gradient_strength(image: torch.Tensor) -> torch.Tensor:
    """Return the mean length of the grey gradient in the 7x7 window around each pixel.

    Central differences, repeated borders; windows are cut off at the image's edge.

    Args:
        image: (B, 3, H, W) float in [0, 1], RGB.

    Returns:
        (B, 1, H, W), grey per pixel.
    """
    luma = torch.tensor(_LUMA, device=image.device, dtype=image.dtype)[None, :, None, None]
    grey = functional.pad((image * luma).sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    along_x = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) / 2.0
    along_y = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) / 2.0
    length = (along_x.square() + along_y.square()).sqrt()
    return functional.avg_pool2d(length, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)


def is_textured(image: torch.Tensor, threshold: float = TEXTURE_THRESHOLD) -> torch.Tensor:
    """Return (B, 1, H, W) bool: the gradient around the pixel is stronger than ``threshold``."""
    return gradient_strength(image) > threshold
