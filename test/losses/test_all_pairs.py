"""Nearest neighbours by all distances are those of the trees."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.losses import all_pairs
from e2e_slam_ros.losses.all_pairs import nearest_both_ways


@pytest.mark.parametrize("at_once", [1 << 25, 3000])
def test_both_directions_are_exact(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(all_pairs, "_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    points, others = (4.0 * torch.rand(n, 3, generator=generator) for n in (700, 900))
    points[3] = torch.tensor([1e6, 1e6, 1e6])
    forward, backward = nearest_both_ways(points, others)
    near = torch.arange(700) != 3
    truth, found = cKDTree(others.numpy()).query(points.numpy())
    assert torch.equal(forward[near], torch.from_numpy(found)[near])
    truth, found = cKDTree(points.numpy()).query(others.numpy())
    assert torch.equal(backward, torch.from_numpy(found))


def test_one_point_each() -> None:
    one = torch.zeros(1, 3)
    assert [index.tolist() for index in nearest_both_ways(one, one + 1)] == [[0], [0]]
