"""The distance between two point clouds (paper eq. 5)."""

from __future__ import annotations

import torch

# Rows of the distance matrix held at once: 2048 x 20 000 floats are 160 MB.
_CHUNK = 2048


def nearest(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return (N,) int64: the exact nearest of (M, 3) ``others`` for each of (N, 3) ``points``."""
    with torch.no_grad():
        # Differences around a common centre keep the precision that squared norms lose.
        center = others.mean(0)
        near, far = points - center, others - center
        half = 0.5 * far.square().sum(1)
        chunks = [(half - chunk @ far.T).argmin(1) for chunk in near.split(_CHUNK)]
    return torch.cat(chunks) if chunks else torch.empty(0, dtype=torch.int64)


def chamfer(local: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the symmetric Chamfer distance, a scalar in square metres (paper eq. 5).

    The mean squared distance of each local point to the reference plus that of each reference
    point to the local cloud. Both clouds are in the same frame, and the reference is only what
    the local view could have seen: points out of its view would pull on it without reason.

    Args:
        local: (N, 3) metres; gradients flow to it.
        reference: (M, 3) metres; gradients flow where it requires them.
    """
    if local.shape[0] == 0 or reference.shape[0] == 0:
        return (local.sum() + reference.sum()) * 0.0
    forward = (local - reference[nearest(local, reference)]).square().sum(1)
    backward = (reference - local[nearest(reference, local)]).square().sum(1)
    return forward.mean() + backward.mean()
