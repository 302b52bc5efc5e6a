"""The floor of a map: which way is up, and how high the ground is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

# Normals this near to the direction taken for up belong to level surfaces: at first, and then.
_ABOUT_UP = (40.0, 25.0, 15.0, 8.0)
_BIN_M = 0.05
# A level surface with this share of the largest one's surfels may be the floor.
_LARGE = 0.25
# Fewer level surfels say nothing.
_FEWEST = 100


@dataclass(frozen=True, eq=False)
class Floor:
    """A plane below the map.

    >>> Floor(torch.tensor([0.0, 0.0, 1.0]), 0.5).heights(torch.tensor([[3.0, 4.0, 2.5]]))
    tensor([2.])

    Attributes:
        up: (3,) unit, against gravity, map frame.
        level: position of the plane along ``up``, metres.
    """

    up: torch.Tensor
    level: float

    def heights(self, points: torch.Tensor) -> torch.Tensor:
        """Return the heights (N,) of (N, 3) points above the floor, metres."""
        return points @ self.up - self.level

    def below(self, points: torch.Tensor) -> torch.Tensor:
        """Return the points (N, 3) of the floor below (N, 3) points."""
        return points - self.heights(points)[:, None] * self.up


def find_floor(points: torch.Tensor, normals: torch.Tensor) -> Floor:
    """Return the lowest large level surface.

    The map's z axis shows upwards to within 40 degrees: the surfels' normals say the rest. A
    table may be larger than the floor that is seen, but it is higher. Where hardly any level
    surface was seen, the floor is where the lowest points are.

    Args:
        points: (N, 3) of the map frame, metres; at least one.
        normals: (N, 3), unit, towards the camera.

    >>> y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    >>> ground = torch.stack([x, y, torch.full_like(x, -1.2)], -1).reshape(-1, 3)
    >>> round(find_floor(ground, torch.tensor([[0.0, 0.0, 1.0]]).expand(1600, 3)).level, 3)
    -1.2
    """
    up = torch.tensor([0.0, 0.0, 1.0]).to(points)
    level = torch.ones(len(points), dtype=torch.bool, device=points.device)
    for angle in _ABOUT_UP:
        level = normals @ up > torch.cos(torch.deg2rad(torch.tensor(angle))).item()
        if int(level.sum()) < _FEWEST:
            break
        up = functional.normalize(normals[level].mean(dim=0), dim=0)
    heights = points @ up
    if int(level.sum()) < _FEWEST:
        return Floor(up, float(_quantile(heights, 0.01)))
    return Floor(up, _lowest_large(heights[level]))


def _lowest_large(heights: torch.Tensor) -> float:
    """Return the height of the lowest surface with many of (N,) heights."""
    first = float(heights.min())
    bins = torch.bincount(((heights - first) / _BIN_M).long()).float()
    # A surface may lie across the border of two bins.
    wide = functional.conv1d(bins[None, None], torch.ones(1, 1, 3).to(bins), padding=1)[0, 0]
    large = wide >= _LARGE * wide.max()
    lowest = int(large.nonzero()[0])
    # The first bin that sees a surface is one below it.
    lowest += int(wide[lowest : lowest + 3].argmax())
    middle = first + (lowest + 0.5) * _BIN_M
    return float(heights[(heights - middle).abs() <= 1.5 * _BIN_M].median())


def _quantile(values: torch.Tensor, share: float) -> torch.Tensor:
    return values.kthvalue(max(1, round(share * values.numel()))).values
