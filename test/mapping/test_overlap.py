"""A wall that was mapped on two visits is one wall after the loop was closed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import Surfels
from synthetic import CAMERA, estimate, keyframe, pose, wall_depth

CPU = torch.device("cpu")
DRIFT = pose(x=3.0, y=0.5, z=-1.0, yaw_deg=20.0)


def surfel_map(**values: object) -> SurfelMap:
    return SurfelMap(dataclasses.replace(MapConfig(), **values), CPU)  # type: ignore[arg-type]


def visit(
    target: SurfelMap, index: int, T_true: torch.Tensor, T_new_true: torch.Tensor | None = None
) -> None:
    """Fuse what a camera at ``T_true`` sees; the tracker believes another map frame."""
    believed = T_true if T_new_true is None else T_new_true @ T_true
    seen = dataclasses.replace(keyframe(T_true, index), T_map_camera=believed)
    target.fuse(seen, estimate(wall_depth(T_true)))


def doubled(surfels: Surfels) -> int:
    """How many surfels have one of another keyframe over them, across the wall z = 2."""
    flat = surfels.positions[:, :2].numpy()
    radius, created_by = surfels.radius.numpy(), surfels.keyframe.numpy()
    pairs = cKDTree(flat).query_pairs(float(radius.max()), output_type="ndarray")
    apart = np.linalg.norm(flat[pairs[:, 0]] - flat[pairs[:, 1]], axis=1)
    over = apart < np.minimum(radius[pairs[:, 0]], radius[pairs[:, 1]])
    over &= created_by[pairs[:, 0]] != created_by[pairs[:, 1]]
    return len(np.unique(pairs[over]))


def two_visits(second: torch.Tensor, residual: torch.Tensor, **values: object) -> SurfelMap:
    """Two walls in the wrong places, brought together up to ``residual``."""
    target = surfel_map(**values)
    visit(target, 0, pose())
    visit(target, 1, second, DRIFT)
    target.move({1: residual @ torch.linalg.inv(DRIFT)})
    return target


@pytest.mark.parametrize(
    "second",
    [pose(), pose(x=0.013, y=0.02), pose(x=0.3), pose(yaw_deg=15.0), pose(z=-0.6), pose(z=0.7)],
    ids=["same place", "half a pixel", "aside", "turned", "farther", "nearer"],
)
@pytest.mark.parametrize("off_m", [0.0, 0.01, 0.03])
def test_two_copies_of_a_wall_become_one(second: torch.Tensor, off_m: float) -> None:
    target = two_visits(second, pose(z=off_m))
    size, before = len(target), doubled(target.surfels)
    assert before > 2000
    gone = sum(target.merge_overlaps(CAMERA, T) for T in (pose(), second))
    assert len(target) == size - gone == len(target.surfels)
    assert doubled(target.surfels) < 0.02 * before
    # As many as fusing both where they belong gives, the finer one first, or a few more.
    references = []
    for order in ((0, 1), (1, 0)):
        references.append(surfel_map())
        for index in order:
            visit(references[-1], index, second if index else pose())
    assert len(target) < 1.1 * max(map(len, references))


def test_merging_averages_by_confidence_and_keeps_the_weight() -> None:
    target = two_visits(pose(), pose(z=0.02))
    weight = target.surfels.confidence.sum()
    assert target.merge_overlaps(CAMERA, pose()) > 2800
    both = target.surfels
    torch.testing.assert_close(both.confidence.sum(), weight)
    # Equally confident, 2 cm apart: half way.
    assert (both.positions[:, 2] - 2.01).abs().median() < 1e-4
    assert (both.keyframe == 0).float().mean() > 0.95 and int(both.updated.max()) == 1


def test_one_keyframe_is_not_thinned_from_far_away() -> None:
    target = surfel_map()
    visit(target, 0, pose(z=1.0))
    before = target.state_hash()
    assert target.merge_overlaps(CAMERA, pose(z=-4.0)) == 0
    assert target.state_hash() == before


def test_walls_that_are_two_stay_two() -> None:
    # Farther apart than the association distance, or seen from the other side.
    target = two_visits(pose(), pose(z=0.3))
    assert target.merge_overlaps(CAMERA, pose()) == 0
    board = surfel_map()
    visit(board, 0, pose())
    behind = pose(z=4.0, yaw_deg=180.0)
    visit(board, 1, behind)
    assert sum(board.merge_overlaps(CAMERA, T) for T in (pose(), behind)) == 0


def test_a_map_without_overlaps_stays_as_it_is() -> None:
    target = surfel_map()
    for index in range(6):
        visit(target, index, pose(x=0.25 * index, yaw_deg=3.0 * index))
    size = len(target)
    for index in range(6):
        target.merge_overlaps(CAMERA, pose(x=0.25 * index, yaw_deg=3.0 * index))
    assert len(target) > 0.97 * size
    assert surfel_map().merge_overlaps(CAMERA, pose()) == 0


def test_confidence_stays_bounded() -> None:
    target = two_visits(pose(), pose(), max_confidence=1.2)
    target.merge_overlaps(CAMERA, pose())
    assert target.surfels.confidence.max() <= 1.2


def test_what_was_merged_can_still_be_taken_out() -> None:
    target = two_visits(pose(), pose(z=0.02), revisable_keyframes=2)
    target.merge_overlaps(CAMERA, pose())
    target.withdraw(1)
    alone = surfel_map()
    visit(alone, 0, pose())
    assert len(target) == len(alone)
    distance, pair = cKDTree(alone.surfels.positions.numpy()).query(
        target.surfels.positions.numpy()
    )
    assert distance.max() < 1e-3 and len(set(pair)) == len(alone)
    torch.testing.assert_close(
        target.surfels.confidence, alone.surfels.confidence[pair], atol=1e-4, rtol=0.0
    )


def test_the_same_merges_give_the_same_hash() -> None:
    maps = [two_visits(pose(x=0.3), pose(z=0.01)) for _ in range(2)]
    for target in maps:
        target.merge_overlaps(CAMERA, pose())
    assert maps[0].state_hash() == maps[1].state_hash()


def test_a_pose_that_is_not_rigid_is_refused_and_the_map_kept() -> None:
    target = two_visits(pose(), pose())
    before = target.state_hash()
    with pytest.raises(PoseError):
        target.merge_overlaps(CAMERA, torch.zeros(4, 4))
    assert target.state_hash() == before
