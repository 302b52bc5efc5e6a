"""Nearest neighbours between two point clouds by all their distances, for GPUs."""

from __future__ import annotations

import torch

# Distances held at once: 256 MB in double precision.
_AT_ONCE = 1 << 25
# A search of more pairs is left to the trees of `neighbours`.
_MOST_PAIRS = 1 << 32


def pays(points: torch.Tensor, others: torch.Tensor) -> bool:
    """Return whether all distances are faster than trees: on a GPU, for clouds of moderate size.

    Trees need few distances and many small steps. A GPU makes four hundred million distances in
    the time that it needs for some dozen steps.
    """
    return points.device.type != "cpu" and len(points) * len(others) <= _MOST_PAIRS


@torch.no_grad()
def nearest_both_ways(
    points: torch.Tensor, others: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each point's nearest other, (N,) int64, and each other's nearest point, (M,).

    Args:
        points: (N, 3), finite, N >= 1.
        others: (M, 3), finite, M >= 1.

    >>> ahead = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    >>> nearest_both_ways(ahead, torch.tensor([[0.0, 0.0, 2.9]]))
    (tensor([0, 0]), tensor([1]))
    """
    # |p - q|^2 = |p|^2 - 2 p q + |q|^2 as one product of five columns. In double precision the
    # differences of these large numbers keep the digits of single precision.
    p, q = points.double(), others.double()
    one = torch.ones_like
    p = torch.cat([-2.0 * p, p.square().sum(1, keepdim=True), one(p[:, :1])], dim=1)
    q = torch.cat([q, one(q[:, :1]), q.square().sum(1, keepdim=True)], dim=1).T.contiguous()
    forward, first = [], 0
    least = p.new_full((q.shape[1],), torch.inf)
    backward = torch.zeros(q.shape[1], dtype=torch.int64, device=p.device)
    for part in p.split(max(1, _AT_ONCE // q.shape[1])):
        apart = part @ q
        forward.append(apart.argmin(1))
        low, which = apart.min(0)
        nearer = low < least
        least = torch.where(nearer, low, least)
        backward = torch.where(nearer, which + first, backward)
        first += len(part)
    return torch.cat(forward), backward
