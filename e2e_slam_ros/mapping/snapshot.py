"""Copying surfels to the host, thinned where there are too many."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_store import Surfels, SurfelStore


def take_snapshot(
    store: SurfelStore,
    max_points: int | None,
    min_confidence: float,
    index: torch.Tensor | None,
) -> SurfelCloud:
    """Copy the surfels of `choose_slots` to the host."""
    return as_cloud(store.slots[choose_slots(store, max_points, min_confidence, index)])


def choose_slots(
    store: SurfelStore,
    max_points: int | None,
    min_confidence: float,
    index: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return (M,) int64: those of the slots ``index`` (None: all) that are confident enough.

    More than ``max_points`` are thinned evenly; neighbours in the map are neighbours in memory,
    so every part of the map keeps its share. Of the whole map only the slots that may be chosen
    are looked at.
    """
    slots = store.slots
    if index is None and max_points is not None and len(store) > max_points:
        step = len(store) / max_points
        count = math.ceil(len(slots) / step)
        index = _spread(count, step, len(slots), slots.confidence)
        index = index[slots.confidence[index] > 0]
    elif index is None:
        index = store.live()
    if min_confidence > 0:
        index = index[slots.confidence[index] >= min_confidence]
    if max_points is not None and index.numel() > max_points:
        step = index.numel() / max_points
        index = index[_spread(max_points, step, index.numel(), index)]
    return index


def as_cloud(surfels: Surfels) -> SurfelCloud:
    """Copy (N,) surfels to the host, colours as bytes."""
    colors = (surfels.colors * 255.0).round().clamp(0, 255).to(torch.uint8)
    return SurfelCloud(
        positions=surfels.positions.clone().cpu().numpy(),
        normals=surfels.normals.clone().cpu().numpy(),
        colors=colors.cpu().numpy(),
        confidence=surfels.confidence.clone().cpu().numpy(),
    )


def _spread(count: int, step: float, below: int, like: torch.Tensor) -> torch.Tensor:
    position = torch.arange(count, device=like.device, dtype=torch.float64) * step
    return position.long().clamp_max(below - 1)
