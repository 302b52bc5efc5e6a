"""Surfels of different keyframes that show one surface twice, found through an index map."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.association import Projection, index_map
from e2e_slam_ros.mapping.surfel_store import Surfels


def overlapping(
    projection: Projection, slots: Surfels, camera: PinholeCamera, config: MapConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (K,) slots of surfels that repeat another one, and (K,) slots of that other one.

    A surfel repeats one that the index map shows in its pixel or the eight around it when

    * another keyframe created it: the grid of one keyframe's own surfels stays as fine as it is;
    * it lies within ``distance_m`` along its normal (growing beyond 2 m as in `associate`),
      within the smaller of the two radii across it, and within ``angle_deg`` of its normal;
    * the index map does not show it or, where it shows both, the other one is more confident,
      or as confident and in a lower slot.

    The nearest one across is taken. None of the returned others repeats a surfel itself, so
    chains take more than one call.

    Args:
        projection: V surfels in view.
        slots: all slots.
        camera: the image.
        config: the limits.
    """
    cells = index_map(projection, camera, config.distance_m)
    around = functional.pad(cells.view(camera.height, camera.width), (1, 1, 1, 1), value=-1)
    wide = camera.width + 2
    # The upper left neighbour in the bordered image, which every pixel has.
    corner = projection.pixel + 2 * torch.div(
        projection.pixel, camera.width, rounding_mode="floor"
    )
    own = slots[projection.slot]
    hidden = cells[projection.pixel] != projection.slot
    best = torch.full_like(own.radius, torch.inf)
    chosen = torch.full_like(projection.slot, -1)
    for dy in range(3):
        for dx in range(3):
            other = around.flatten()[corner + (dy * wide + dx)]
            cost = _distance_across(projection, own, other, slots, config, hidden)
            nearer = cost < best
            best, chosen = torch.where(nearer, cost, best), torch.where(nearer, other, chosen)
    repeats = torch.nonzero(chosen >= 0).squeeze(1)
    source, target = projection.slot[repeats], chosen[repeats]
    repeated = torch.zeros(len(slots), dtype=torch.bool, device=source.device)
    repeated[source] = True
    settled = ~repeated[target]
    return source[settled], target[settled]


def _distance_across(
    projection: Projection,
    own: Surfels,
    other: torch.Tensor,
    slots: Surfels,
    config: MapConfig,
    hidden: torch.Tensor,
) -> torch.Tensor:
    """Return (V,) squared distance across the other's normal; infinity where it does not fit."""
    there = other.clamp_min(0)
    normals = slots.normals[there]
    offset = own.positions - slots.positions[there]
    along = (offset * normals).sum(1)
    across = (offset.square().sum(1) - along.square()).clamp_min(0.0)
    limit = config.distance_m * (projection.depth / 2.0).clamp_min(1.0)
    confidence = slots.confidence[there]
    ranked = hidden | (confidence > own.confidence)
    ranked |= (confidence == own.confidence) & (there < projection.slot)
    fits = (other >= 0) & ranked & (slots.keyframe[there] != own.keyframe)
    fits &= along.abs() < limit
    fits &= across < torch.minimum(slots.radius[there], own.radius).square()
    fits &= (own.normals * normals).sum(1) > math.cos(math.radians(config.angle_deg))
    return torch.where(fits, across, torch.inf)


def united(target: Surfels, source: Surfels, row: torch.Tensor, max_confidence: float) -> Surfels:
    """Return (M,) ``target`` averaged by confidence with the (K,) ``source`` that repeat them.

    Args:
        target: (M,) surfels to keep; keyframe and creation stay theirs.
        source: (K,) surfels that will go.
        row: (K,) int64, the target of each source.
        max_confidence: bound on the accumulated weight.
    """

    def total(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        weighted = mine * target.confidence[:, None]
        return weighted.index_add(0, row, theirs * source.confidence[:, None])

    weight = target.confidence.index_add(0, row, source.confidence)
    return dataclasses.replace(
        target,
        positions=total(target.positions, source.positions) / weight[:, None],
        normals=functional.normalize(total(target.normals, source.normals), dim=1),
        colors=total(target.colors, source.colors) / weight[:, None],
        confidence=weight.clamp_max(max_confidence),
        radius=target.radius.scatter_reduce(0, row, source.radius, "amin"),
        updated=target.updated.scatter_reduce(0, row, source.updated, "amax"),
    )
