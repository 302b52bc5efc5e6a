"""The confidence-weighted average of surfels and the pixels that see them again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import indices
from e2e_slam_ros.mapping.observation import Observation
from e2e_slam_ros.mapping.surfel_store import Surfels

# An observation coarser than this times the surfel only adds confidence (Keller et al.: 1.5).
_COARSER = 1.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """The sums over the pixels that match M surfels, one row a surfel.

    >>> none = torch.zeros(2, 3)
    >>> rows = Evidence(torch.tensor([4, 9]), *torch.ones(2, 2), none, none, none, torch.ones(2))
    >>> rows.weight.tolist()
    [1.0, 1.0]

    Attributes:
        cell: (M,) int64, the index-map cell that shows the surfel.
        weight: (M,) sum of the weights of all pixels.
        shaping: (M,) the same of those fine enough to move the surfel.
        positions, normals, colors: (M, 3) sums weighted by the latter.
        radius: (M,) of the finest pixel, metres.
    """

    cell: torch.Tensor
    weight: torch.Tensor
    shaping: torch.Tensor
    positions: torch.Tensor
    normals: torch.Tensor
    colors: torch.Tensor
    radius: torch.Tensor


def gather_evidence(
    observation: Observation, matches: torch.Tensor, radius_at_cell: torch.Tensor
) -> Evidence:
    """Add up the pixels that merge with the same surfel.

    Args:
        observation: HW measured surfels.
        matches: (HW,) int64, the cell each pixel merges with, -1 for none.
        radius_at_cell: (HW,) radius of the cells' surfels, metres.
    """
    pixels = indices(matches >= 0)
    cell = matches.index_select(0, pixels)
    weight = observation.confidence.index_select(0, pixels)
    radius = observation.radius.index_select(0, pixels)
    shaping = weight * (radius <= _COARSER * radius_at_cell.index_select(0, cell))
    seen = (observation.points, observation.normals, observation.colors)
    vectors = [column.T.index_select(1, pixels) * shaping for column in seen]
    rows = torch.cat([weight[None], shaping[None], *vectors])
    sums = rows.new_zeros((len(rows), matches.numel()))
    sums.scatter_add_(1, cell.expand(len(rows), -1), rows)
    finest = radius.new_full((matches.numel(),), torch.inf)
    finest = finest.scatter_reduce(0, cell, radius.detach(), reduce="amin")
    touched = indices(finest < torch.inf)
    sums = sums.index_select(1, touched)
    return Evidence(
        cell=touched,
        weight=sums[0],
        shaping=sums[1],
        positions=sums[2:5].T,
        normals=sums[5:8].T,
        colors=sums[8:11].T,
        radius=finest.index_select(0, touched),
    )


def average(surfels: Surfels, evidence: Evidence, max_confidence: float, fusion: int) -> Surfels:
    """Return M surfels averaged with the evidence about them (Keller et al. 2013, eq. 4).

    Args:
        surfels: (M,) as they are in the map.
        evidence: M rows about them.
        max_confidence: bound on the accumulated weight.
        fusion: number of the fusion at work, the result's ``updated``.
    """
    old = surfels.confidence
    total = (old + evidence.shaping)[:, None]

    def mean(column: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        return (column * old[:, None] + sums) / total

    return dataclasses.replace(
        surfels,
        positions=mean(surfels.positions, evidence.positions),
        normals=functional.normalize(mean(surfels.normals, evidence.normals), dim=1),
        colors=mean(surfels.colors, evidence.colors),
        confidence=(old + evidence.weight).clamp_max(max_confidence),
        radius=torch.minimum(surfels.radius, evidence.radius),
        updated=torch.full_like(surfels.updated, fusion),
    )


def as_surfels(
    observation: Observation, pixels: torch.Tensor, keyframe: int, fusion: int
) -> Surfels:
    """Return new surfels, one for each of (K,) pixels.

    Args:
        observation: HW measured surfels.
        pixels: (K,) int64 pixels in row order.
        keyframe: index of the keyframe that measured them.
        fusion: number of the fusion at work.
    """
    stamp = torch.full((pixels.numel(),), fusion, dtype=torch.int32, device=pixels.device)
    return Surfels(
        positions=observation.points.T.index_select(1, pixels).T.contiguous(),
        normals=observation.normals.T.index_select(1, pixels).T.contiguous(),
        colors=observation.colors.T.index_select(1, pixels).T.contiguous(),
        confidence=observation.confidence.index_select(0, pixels),
        radius=observation.radius.index_select(0, pixels),
        keyframe=torch.full_like(stamp, keyframe),
        created=stamp,
        updated=stamp,
    )
