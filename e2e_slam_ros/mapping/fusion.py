"""The confidence-weighted average of surfels and the pixels that see them again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch.nn import functional

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
    pixels = torch.nonzero(matches >= 0).squeeze(1)
    cell = matches[pixels]
    weight, radius = observation.confidence[pixels], observation.radius[pixels]
    shaping = torch.where(radius > _COARSER * radius_at_cell[cell], 0.0, weight)
    columns = torch.cat(
        [
            weight[:, None],
            shaping[:, None],
            observation.points[pixels] * shaping[:, None],
            observation.normals[pixels] * shaping[:, None],
            observation.colors[pixels] * shaping[:, None],
        ],
        dim=1,
    )
    sums = columns.new_zeros((matches.numel(), columns.shape[1])).index_add(0, cell, columns)
    finest = radius.new_full((matches.numel(),), torch.inf)
    finest = finest.scatter_reduce(0, cell, radius.detach(), reduce="amin")
    touched = torch.nonzero(torch.isfinite(finest)).squeeze(1)
    rows = sums[touched]
    return Evidence(
        cell=touched,
        weight=rows[:, 0],
        shaping=rows[:, 1],
        positions=rows[:, 2:5],
        normals=rows[:, 5:8],
        colors=rows[:, 8:11],
        radius=finest[touched],
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
        positions=observation.points[pixels],
        normals=observation.normals[pixels],
        colors=observation.colors[pixels],
        confidence=observation.confidence[pixels],
        radius=observation.radius[pixels],
        keyframe=torch.full_like(stamp, keyframe),
        created=stamp,
        updated=stamp,
    )
