"""Means over square windows of images."""

from __future__ import annotations

import torch
from torch.nn import functional


def box_mean(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the mean over a square window of side 2 radius + 1 of (..., H, W).

    Pixels outside the image count as 0.

    >>> box_mean(torch.ones(1, 3, 3), 1)[0, 1]
    tensor([0.6667, 1.0000, 0.6667])
    """
    side = 2 * radius + 1
    padded = functional.pad(image, (radius, radius, radius, radius))
    return _window_sum(_window_sum(padded, -1, side), -2, side).div_(side**2)


def _window_sum(x: torch.Tensor, dim: int, side: int) -> torch.Tensor:
    """Return the sums of ``side`` neighbours along ``dim``, each window from its two halves."""
    if side == 1:
        return x
    half, count = side // 2, x.shape[dim] - side + 1
    part = _window_sum(x, dim, half)
    both = part.narrow(dim, 0, count) + part.narrow(dim, half, count)
    return both if side % 2 == 0 else both.add_(x.narrow(dim, side - 1, count))
