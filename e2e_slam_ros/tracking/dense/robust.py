"""Robust weights and the scale of residuals, batched."""

from __future__ import annotations

import torch

# Degrees of freedom of Student's t distribution: Kerl et al. (ICRA 2013) measured 5 for images.
_FREEDOM = 5.0
_ROUNDS = 5


def t_scale(residual: torch.Tensor, mask: torch.Tensor, smallest: float) -> torch.Tensor:
    """Return (B,) the scale of residuals under a t distribution (Kerl et al. 2013, equation 18).

    >>> residual = torch.linspace(-2.0, 2.0, 41)[None]
    >>> bool(0.8 < t_scale(residual, torch.ones(1, 41), 1e-6) < 1.2)
    True

    Args:
        residual: (B, N).
        mask: (B, N), 1 or 0.
        smallest: lower limit of the result.
    """
    count = mask.sum(1).clamp_min(1.0)
    square = residual * residual * mask
    # Half of a heavy-tailed start, so that gross errors do not hold the scale up.
    variance = (residual.abs() * mask).sum(1) / count
    variance = (variance * variance).clamp_min(smallest**2)
    for _ in range(_ROUNDS):
        share = (_FREEDOM + 1.0) / (_FREEDOM + square / variance[:, None])
        variance = ((square * share).sum(1) / count).clamp_min(smallest**2)
    return variance.sqrt()


def t_weights(residual: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return (B, N) weights of residuals in units of ``scale`` (B,), at most 1.2."""
    square = (residual / scale[:, None]) ** 2
    return (_FREEDOM + 1.0) / (_FREEDOM + square)
