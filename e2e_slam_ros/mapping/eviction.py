"""The choice of surfels to remove when the map is full."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.mapping.block_index import BlockIndex
from e2e_slam_ros.mapping.surfel_store import SurfelStore, page_slots

# Evicting a little more than needed lets many keyframes pass before the next eviction.
_SLACK = 0.05


def make_room(
    store: SurfelStore, blocks: BlockIndex, config: MapConfig, revisable_since: int
) -> int:
    """Remove surfels beyond ``max_surfels``; returns the number removed.

    Blocks are visited in the order in which they were last in view. In a first round they give up
    the surfels that were never confirmed (below ``stable_confidence``), except the blocks in view
    now or of a keyframe that may still be revised; if that does not make enough room, blocks are
    forgotten whole, longest unseen first.
    """
    if len(store) <= config.max_surfels:
        return 0
    before = len(store)
    wanted = before - int((1.0 - _SLACK) * config.max_surfels)
    order = torch.argsort(blocks.last_seen, stable=True)
    # Compaction moves surfels, and revisable keyframes know their surfels by slot.
    recent = blocks.last_seen.amax().clamp_max(revisable_since)
    out_of_view = order[blocks.last_seen[order] < recent]
    confidence = store.page_confidence()
    unstable = (confidence > 0) & (confidence < config.stable_confidence)
    touched = _free(store, len(blocks), out_of_view, unstable, wanted)
    wanted -= before - len(store)
    if wanted > 0:
        _free(store, len(blocks), order, store.page_confidence() > 0, wanted)
    # What is left of a thinned block moves together, so that memory shrinks with the count.
    store.compact(touched)
    drop_empty_blocks(store, blocks)
    return before - len(store)


def drop_empty_blocks(store: SurfelStore, blocks: BlockIndex) -> None:
    """Forget the blocks that own no page and number the others anew."""
    owner = store.page_block
    owned = torch.zeros(len(blocks), dtype=torch.bool, device=owner.device)
    owned[owner[owner >= 0]] = True
    store.relabel(blocks.drop(owned))


def _free(
    store: SurfelStore,
    count: int,
    order: torch.Tensor,
    candidates: torch.Tensor,
    wanted: int,
) -> torch.Tensor:
    """Free candidates block by block in ``order`` until ``wanted``; returns (B,) bool: where.

    Args:
        store: whose slots are freed.
        count: number of blocks.
        order: blocks to visit.
        candidates: (P, PAGE) bool over the slots.
        wanted: smallest number to free, if there are so many.
    """
    owner = store.page_block
    owned = owner >= 0
    per_block = torch.zeros(count, dtype=torch.int64, device=owner.device)
    per_block.index_add_(0, owner[owned], candidates.sum(1)[owned])
    gathered = per_block[order].cumsum(0)
    # A block is needed while those before it do not suffice.
    needed = order[(gathered - per_block[order]) < wanted]
    chosen = torch.zeros(count, dtype=torch.bool, device=owner.device)
    chosen[needed] = True
    pages = store.pages_of(chosen)
    slots = page_slots(pages)
    store.remove(slots[candidates[pages].flatten()])
    store.release_empty_pages(pages)
    return chosen
