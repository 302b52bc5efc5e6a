"""Which pages surfels live in: those of the block that their position lies in."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.association import Projection, project_surfels
from e2e_slam_ros.mapping.block_index import BlockIndex
from e2e_slam_ros.mapping.contribution import Change
from e2e_slam_ros.mapping.eviction import drop_empty_blocks
from e2e_slam_ros.mapping.surfel_store import (
    PAGE,
    Surfels,
    SurfelStore,
    page_slots,
    rank_in_group,
)


def insert(store: SurfelStore, blocks: BlockIndex, surfels: Surfels, seen: torch.Tensor) -> Change:
    """Put (N,) new surfels into the pages of their blocks.

    Args:
        store: gets the surfels.
        blocks: gets the blocks that are missing.
        surfels: (N,).
        seen: (N,) int64, the fusion in which each one was last in view.

    Returns:
        The change, its surfels in the order of their blocks.
    """
    owners = blocks.find_or_add(surfels.positions)
    order = torch.argsort(owners, stable=True)
    owners, surfels = owners[order], surfels[order]
    blocks.last_seen.scatter_reduce_(0, owners, seen[order], reduce="amax")
    slots = store.take_slots(owners, rank_in_group(owners), len(blocks))
    store.write(slots, surfels)
    return Change(slots, None, surfels)


def rehouse(
    store: SurfelStore, blocks: BlockIndex, slots: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring surfels that have left their blocks into the pages of the right ones.

    A block that gets surfels counts as seen when the block that they come from was. Blocks that
    end up without surfels are forgotten.

    Args:
        store: holds the surfels, whose positions have changed.
        blocks: the blocks.
        slots: (N,) int64, the surfels that may have left their blocks.

    Returns:
        (K,) int64 slots of those that have, and the (K,) slots they are in now.
    """
    owners, pages = blocks.find_or_add(store.slots.positions[slots]), slots // PAGE
    before = store.page_block[pages]
    leaving = torch.nonzero(owners != before).squeeze(1)
    # In the order of their blocks, which `insert` keeps.
    leaving = leaving[torch.argsort(owners[leaving], stable=True)]
    old, seen = slots[leaving], blocks.last_seen[before[leaving]]
    surfels = store.slots[old]
    store.remove(old)
    store.release_empty_pages(torch.unique(pages))
    new = insert(store, blocks, surfels, seen).slots
    drop_empty_blocks(store, blocks)
    return old, new


def project_pages(
    store: SurfelStore, pages: torch.Tensor, camera: PinholeCamera, T_map_camera: torch.Tensor
) -> Projection:
    """Return the surfels of (K,) pages that fall into a camera's image."""
    slots = store.slots
    return project_surfels(
        page_slots(pages),
        slots.positions.view(-1, PAGE * 3).index_select(0, pages).view(-1, 3),
        slots.confidence.view(-1, PAGE).index_select(0, pages).flatten(),
        camera,
        T_map_camera,
    )
