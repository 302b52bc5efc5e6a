"""A first rotation of each pair: the best of a grid."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.dro.cost_map import cost_map

# Degrees: about a pixel of features at 1/8 of 192 pixels of width.
_STEP_DEG = 2.5
_YAWS, _PITCHES = 6, 4
# A rotation that leaves less of the image in view is no candidate.
_LEAST_SEEN = 0.35


def search_rotations(
    features: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor
) -> torch.Tensor:
    """Return T_i_0 (B, N, 4, 4): the cheapest rotations up to 15 degrees of yaw, 10 of pitch.

    Args:
        features: (B, V, C, h, w), coarse.
        depth: (B, 1, h, w), metres.
        intrinsics: (B, V, 3, 3), for images of the size of ``features``.

    >>> k = torch.tensor([[21.0, 0, 11.5], [0, 21, 8.5], [0, 0, 1]])
    >>> same = torch.rand(1, 1, 8, 18, 24).expand(-1, 3, -1, -1, -1)
    >>> found = search_rotations(same, torch.ones(1, 1, 18, 24), k.expand(1, 3, 3, 3))
    >>> bool(torch.allclose(found, torch.eye(4).expand(1, 2, 4, 4)))
    True
    """
    grid = _grid(depth)
    count, neighbours = len(grid), features.shape[1] - 1
    tried = grid.repeat(neighbours, 1, 1).expand(len(depth), -1, -1, -1)
    many, k = (
        torch.cat([values[:, :1], values[:, 1:].repeat_interleave(count, 1)], 1)
        for values in (features, intrinsics)
    )
    costs = cost_map(many, depth, tried, k)
    seen = costs.inside.flatten(2).mean(2)
    mean = costs.cost.flatten(2).mean(2) / seen.clamp_min(1e-3)
    mean = torch.where(seen > _LEAST_SEEN, mean, torch.full_like(mean, torch.inf))
    best = mean.view(len(depth), neighbours, count).argmin(2)
    return grid[best]


def _grid(like: torch.Tensor) -> torch.Tensor:
    """Return (R, 4, 4) rotations; the first one turns nothing, so that it wins a draw."""
    pairs = [(p, y) for p in range(-_PITCHES, _PITCHES + 1) for y in range(-_YAWS, _YAWS + 1)]
    pairs.sort(key=lambda pair: abs(pair[0]) + abs(pair[1]))
    angles = torch.tensor(pairs, dtype=torch.float32, device=like.device)
    twist = torch.zeros(len(pairs), 6, device=like.device)
    twist[:, 3:5] = angles * math.radians(_STEP_DEG)
    return se3.exp(twist)
