"""Arrays that grow."""

from __future__ import annotations

import torch

from e2e_slam_ros.mapping.surfel_store import Surfels, SurfelStore


def numbered(start: int, count: int) -> Surfels:
    made = Surfels.empty(count, torch.device("cpu"))
    for column in made.columns():
        values = torch.arange(start, start + count).to(column.dtype)
        column[:] = values.reshape(-1, *[1] * (column.dim() - 1)).expand_as(column)
    return made


def test_growth_keeps_contents_and_doubles() -> None:
    store = SurfelStore(torch.device("cpu"), capacity=4)
    for start in range(0, 30, 3):
        store.append(numbered(start, 3))
    assert len(store) == 30
    for column in store.view().columns():
        assert torch.equal(column.reshape(30, -1)[:, 0].int(), torch.arange(30).int())


def test_keep_compacts_in_order_without_new_arrays() -> None:
    store = SurfelStore(torch.device("cpu"), capacity=10)
    store.append(numbered(0, 10))
    address = store.view().positions.data_ptr()
    store.keep(torch.arange(10) % 3 == 0)
    assert store.view().confidence.tolist() == [0, 3, 6, 9]
    assert store.view().positions.data_ptr() == address
    store.append(numbered(50, 2))
    assert store.view().last_seen.tolist() == [0, 3, 6, 9, 50, 51]


def test_views_write_through_and_clear_empties() -> None:
    store = SurfelStore(torch.device("cpu"), capacity=2)
    store.append(numbered(0, 2))
    store.view().confidence[1] = 7.0
    assert store.view().confidence.tolist() == [0.0, 7.0]
    store.clear()
    assert len(store) == 0 == len(store.view())
