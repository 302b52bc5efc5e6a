"""The map in cells: even thinning, a bound, and only what has changed."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.viewers.map_cells import MapCells


def cloud(positions: np.ndarray, grey: int = 128) -> SurfelCloud:
    rows = np.asarray(positions, np.float32)
    return SurfelCloud(
        rows, np.zeros_like(rows), np.full(rows.shape, grey, np.uint8), np.ones(len(rows), "f")
    )


def room(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    points = generator.uniform(-5.0, 5.0, (count, 3))
    points[np.arange(count), generator.integers(0, 3, count)] = 4.9
    return points


def test_points_stay_where_they_are_to_a_millimetre() -> None:
    points = np.array([[0.3, -7.7, 1.234], [3.9, 3.9, -0.01]])
    changes = MapCells(1000).update(cloud(points))
    shown = np.concatenate([c.points.astype(float) + c.origin for c in changes.changed.values()])
    order = np.argsort(shown[:, 0])
    assert shown[order] == pytest.approx(points, abs=1e-3)


@pytest.mark.parametrize("most", [1000, 20_000])
def test_there_are_never_more_points_than_allowed_and_every_place_keeps_some(most: int) -> None:
    changes = MapCells(most).update(cloud(room(100_000)))
    assert most / 4 < sum(cell.count for cell in changes.changed.values()) <= most
    whole = MapCells(10**6).update(cloud(room(100_000)))
    assert set(changes.changed) == set(whole.changed)


def test_only_the_cells_that_changed_are_sent_again() -> None:
    cells = MapCells(100_000)
    points = room(20_000)
    first = cells.update(cloud(points))
    assert cells.update(cloud(points)).changed == {}
    more = np.concatenate([points, [[1.0, 1.0, 1.0]]])
    again = cells.update(cloud(more))
    assert set(again.changed) == {(0, 0, 0)} and len(first.changed) > 50
    assert set(cells.update(cloud(more, grey=90)).changed) == set(first.changed) | {(0, 0, 0)}


def test_cells_without_points_go() -> None:
    cells = MapCells(1000)
    cells.update(cloud([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]))
    assert cells.update(cloud([[5.0, 0.0, 0.0]])).gone == ((0, 0, 0),)
    assert cells.update(cloud(np.zeros((0, 3)))).gone == ((2, 0, 0),)


def test_points_that_are_not_finite_are_left_out() -> None:
    changes = MapCells(1000).update(cloud([[np.nan, 0.0, 0.0], [np.inf, 0, 0], [1.0, 0.0, 0.0]]))
    assert [cell.count for cell in changes.changed.values()] == [1]
