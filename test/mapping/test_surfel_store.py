"""Pages of surfels that belong to blocks."""

from __future__ import annotations

import torch

from e2e_slam_ros.mapping.surfel_store import PAGE, Surfels, SurfelStore, page_slots, rank_in_group

CPU = torch.device("cpu")


def numbered(start: int, count: int) -> Surfels:
    made = Surfels.empty(count, CPU)
    for column in made.columns():
        values = torch.arange(start, start + count).to(column.dtype)
        column[:] = values.reshape(-1, *[1] * (column.dim() - 1)).expand_as(column)
    return made


def add(store: SurfelStore, block: int, start: int, count: int, blocks: int = 10) -> torch.Tensor:
    owners = torch.full((count,), block)
    slots = store.take_slots(owners, rank_in_group(owners), blocks)
    store.write(slots, numbered(start, count))
    return slots


def block_contents(store: SurfelStore, block: int) -> list[int]:
    pages = torch.nonzero(store.page_block == block).squeeze(1)
    slots = page_slots(pages)
    confidence = store.slots.confidence[slots]
    return sorted(confidence[confidence > 0].int().tolist())


def test_growth_keeps_contents_in_place() -> None:
    store = SurfelStore(CPU, pages=1)
    first = add(store, 0, 1, 10)
    for block in range(1, 10):
        add(store, block, 1000 * block, 100)
    assert len(store) == 910 == len(store.live())
    assert store.slots.confidence[first].tolist() == list(range(1, 11))
    assert block_contents(store, 7) == list(range(7000, 7100))


def test_a_slot_is_given_once_and_in_a_page_of_its_block() -> None:
    store = SurfelStore(CPU, pages=4)
    owners = torch.tensor([0] * 40 + [2] * 70 + [5])
    slots = store.take_slots(owners, rank_in_group(owners), 6)
    assert slots.unique().numel() == 111
    assert torch.equal(store.page_block[slots // PAGE], owners)


def test_freed_slots_are_used_again_by_their_own_block() -> None:
    store = SurfelStore(CPU)
    slots = add(store, 3, 1, PAGE)
    store.remove(slots[5:15])
    pages = len(store.page_block)
    again = add(store, 3, 500, 10)
    assert sorted(again.tolist()) == sorted(slots[5:15].tolist())
    assert len(store.page_block) == pages and len(store) == PAGE


def test_empty_pages_are_released_and_given_to_other_blocks() -> None:
    store = SurfelStore(CPU)
    slots = add(store, 1, 1, 3 * PAGE)
    store.remove(slots)
    store.release_empty_pages(torch.arange(len(store.page_block)))
    assert (store.page_block == -1).all() and len(store) == 0
    add(store, 2, 1, 2 * PAGE)
    assert len(store.page_block) == 3 and int((store.page_block == 2).sum()) == 2


def test_compaction_keeps_every_surfel_and_frees_pages() -> None:
    store = SurfelStore(CPU)
    slots = {block: add(store, block, 1000 * block, 5 * PAGE) for block in (1, 2, 3)}
    for block in (1, 2):
        gone = torch.arange(5 * PAGE) % 4 != 0
        store.remove(slots[block][gone])
    expected = {block: block_contents(store, block) for block in (1, 2, 3)}
    others = store.slots[slots[3]]
    store.compact(torch.tensor([False, True, True, False]))
    assert {block: block_contents(store, block) for block in (1, 2, 3)} == expected
    assert int((store.page_block == 1).sum()) == 2 == int((store.page_block == 2).sum())
    assert torch.equal(store.slots.positions[slots[3]], others.positions)
    assert len(store) == len(store.live())


def test_compacting_nothing_is_fine() -> None:
    store = SurfelStore(CPU)
    add(store, 0, 1, 5)
    store.compact(torch.tensor([False]))
    assert len(store.live()) == 5


def test_rank_counts_within_equal_neighbours() -> None:
    groups = torch.tensor([0, 0, 0, 4, 7, 7])
    assert rank_in_group(groups).tolist() == [0, 1, 2, 0, 0, 1]
    assert rank_in_group(groups[:0]).tolist() == []


def test_clear_forgets_the_pages_too() -> None:
    store = SurfelStore(CPU)
    add(store, 0, 1, 100)
    store.clear()
    assert len(store) == 0 == len(store.slots) == len(store.page_block)
    add(store, 4, 1, 5)
    assert block_contents(store, 4) == [1, 2, 3, 4, 5]
