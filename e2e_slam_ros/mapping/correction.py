"""Changes of the whole map after a loop was closed: surfels move, and doubled ones merge."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.block_index import BlockIndex
from e2e_slam_ros.mapping.checks import check_moved
from e2e_slam_ros.mapping.contribution import Contributions
from e2e_slam_ros.mapping.motion import KeyframeMotion
from e2e_slam_ros.mapping.overlap import overlapping, united
from e2e_slam_ros.mapping.placement import project_pages, rehouse
from e2e_slam_ros.mapping.surfel_store import PAGE, SurfelStore

# A pass can make further overlaps possible. Chains of them are short.
_MOST_PASSES = 4


def move_surfels(
    store: SurfelStore, blocks: BlockIndex, shares: Contributions, motion: KeyframeMotion
) -> int:
    """Move the surfels that the keyframes of ``motion`` created; return their number.

    Raises:
        MapError: surfels would lie too far from the origin. Nothing is changed then.
    """
    slots, live = store.slots, store.live()
    row = motion.rows(slots.keyframe[live])
    chosen = torch.nonzero(row >= 0).squeeze(1)
    moved, row = live[chosen], row[chosen]
    positions = motion.points(slots.positions[moved], row)
    radius = slots.radius[moved] * motion.scale[row].to(slots.radius.dtype)
    check_moved(positions)
    if moved.numel() == 0:
        return 0
    shares.drop_gone(slots)
    shares.move(motion, slots)
    normals = motion.directions(slots.normals[moved], row)
    slots.positions.index_copy_(0, moved, positions)
    slots.normals.index_copy_(0, moved, functional.normalize(normals, dim=1))
    slots.radius.index_copy_(0, moved, radius)
    count = len(slots)
    old, new = rehouse(store, blocks, moved)
    shares.rename(old, new, store.slots, count)
    return int(moved.numel())


def merge_overlaps(
    store: SurfelStore,
    blocks: BlockIndex,
    shares: Contributions,
    camera: PinholeCamera,
    T_map_camera: torch.Tensor,
    config: MapConfig,
) -> int:
    """Merge surfels that show one surface twice in an image; return the number removed."""
    before = len(store)
    for _ in range(_MOST_PASSES):
        pages = store.pages_of(blocks.in_view(camera, T_map_camera, None, 0.0))
        seen = project_pages(store, pages, camera, T_map_camera)
        if seen.slot.numel() == 0:
            break
        source, target = overlapping(seen, store.slots, camera, config)
        if source.numel() == 0:
            break
        shares.drop_gone(store.slots)
        kept, row = torch.unique(target, return_inverse=True)
        merged = united(store.slots[kept], store.slots[source], row, config.max_confidence)
        store.update(kept, merged)
        shares.rename(source, target, store.slots, len(store.slots))
        store.remove(source)
        store.release_empty_pages(torch.unique(source // PAGE))
    return before - len(store)
