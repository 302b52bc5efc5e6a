"""The corridor: a closed walk in free space."""

from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.simulation.circuit import (
    circuit_length_m,
    circuit_reader,
    circuit_scene,
    circuit_trajectory,
)
from e2e_slam_ros.simulation.scene_queries import distance


def test_a_smooth_walk_of_40_metres_that_comes_back() -> None:
    assert 39.5 < circuit_length_m() < 41.0
    path = circuit_trajectory(7.5)
    steps = (path[1:, :3, 3] - path[:-1, :3, 3]).norm(dim=1)
    assert 0.08 < float(steps.min()) and float(steps.max()) < 0.11
    turns = (path[1:, :3, 2] * path[:-1, :3, 2]).sum(1).clamp(-1, 1).acos().rad2deg()
    assert float(turns.max()) < 7.0
    # The last 3 m are those of the beginning again.
    again = int(round(circuit_length_m() / 0.7 * 7.5))
    apart = (path[again:, :3, 3] - path[: len(path) - again, :3, 3]).norm(dim=1)
    assert len(apart) > 25 and float(apart.max()) < 0.25


def test_the_camera_keeps_away_from_everything() -> None:
    path = circuit_trajectory(2.0)
    for seed in (0, 1):
        room = circuit_scene(seed, texture_size=64)
        assert float(distance(room, path[:, :3, 3].float()).min()) > 0.25


def test_the_same_seed_gives_the_same_frames() -> None:
    one, other = (circuit_reader(3, 32, 24)[5] for _ in range(2))
    assert np.array_equal(one.image, other.image)
    assert one.depth is not None and bool((torch.from_numpy(one.depth) > 0).all())
