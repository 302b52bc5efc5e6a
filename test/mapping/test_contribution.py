"""Taking a keyframe out of the map again."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import MapError, PoseError
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from synthetic import estimate, keyframe, pose, wall_depth


def surfel_map(**values: object) -> SurfelMap:
    chosen: dict[str, object] = {"revisable_keyframes": 4, **values}
    config = dataclasses.replace(MapConfig(), **chosen)  # type: ignore[arg-type]
    return SurfelMap(config, torch.device("cpu"))


def fuse(target: SurfelMap, x: float, index: int, offset: float = 0.0, grey: float = 0.5) -> None:
    seen = keyframe(pose(x=x), index, grey)
    target.fuse(seen, estimate(wall_depth(pose(x=x), 2.0 + offset)))


def assert_same(a: SurfelMap, b: SurfelMap) -> None:
    ours, theirs = a.surfels, b.surfels
    assert len(ours) == len(theirs)
    # The slots may differ, so surfels are paired by place.
    distance, pair = cKDTree(theirs.positions.numpy()).query(ours.positions.numpy())
    assert distance.max() < 1e-3 and len(set(pair)) == len(ours)
    for name in ("normals", "colors", "confidence"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name)[pair], atol=2e-4), name


def test_withdrawing_the_last_keyframe_restores_the_map() -> None:
    target, reference = surfel_map(), surfel_map()
    for one in (target, reference):
        fuse(one, 0.0, 0)
        fuse(one, 0.1, 1, grey=0.3)
    fuse(target, 0.2, 2, offset=0.02, grey=0.9)
    target.withdraw(2)
    assert_same(target, reference)


def test_a_keyframe_can_be_withdrawn_after_later_ones() -> None:
    target, reference = surfel_map(), surfel_map()
    fuse(target, 0.0, 0)
    fuse(target, 0.0, 1, offset=0.02, grey=0.9)
    fuse(target, 0.0, 2, grey=0.3)
    target.withdraw(1)
    fuse(reference, 0.0, 0)
    fuse(reference, 0.0, 2, grey=0.3)
    assert_same(target, reference)


def test_withdrawing_the_only_keyframe_empties_the_map() -> None:
    target = surfel_map()
    fuse(target, 0.0, 0)
    size = len(target)
    assert target.withdraw(0) == size and len(target) == 0 == len(target.surfels)
    fuse(target, 0.0, 1)
    assert len(target) == size


def test_revised_depth_leaves_nothing_of_the_old_one() -> None:
    # The published system fused again and left the stale depth in the map.
    target, reference = surfel_map(), surfel_map()
    for one in (target, reference):
        fuse(one, 0.0, 0)
    fuse(target, 0.4, 1, offset=0.1)
    target.revise(keyframe(pose(x=0.4), 1), estimate(wall_depth(pose(x=0.4))))
    fuse(reference, 0.4, 1)
    assert_same(target, reference)
    assert (target.surfels.positions[:, 2] - 2.0).abs().max() < 1e-3


def test_a_revised_pose_moves_the_keyframe() -> None:
    target = surfel_map()
    seen = keyframe(pose())
    target.fuse(seen, estimate(wall_depth(pose())))
    moved = dataclasses.replace(seen, T_map_camera=pose(x=5.0))
    target.revise(moved, estimate(wall_depth(pose())))
    assert target.surfels.positions[:, 0].min() > 3.0


def test_surfels_that_are_gone_or_replaced_are_left_alone() -> None:
    target = surfel_map(max_surfels=6000, stable_confidence=2.0)
    for index in range(12):
        fuse(target, 1.5 * index, index)
        if index > 3:
            target.withdraw(index - 2)
        assert len(target) == len(target.surfels) <= 6000
        assert torch.isfinite(target.surfels.positions).all()
        assert (target.surfels.positions[:, 2] - 2.0).abs().max() < 1e-3


def test_what_may_still_be_revised_keeps_its_slots_while_the_map_evicts() -> None:
    # Each revision counts as a fusion, so the keyframes it leaves alone look ever older.
    # Compacting their blocks would let their shares point at other surfels.
    target = surfel_map(revisable_keyframes=2, max_surfels=5000)
    for index in range(3):
        fuse(target, 0.0, index)
    far = keyframe(pose(x=20.0), 3)
    patch = torch.zeros((1, 1, 48, 64))
    patch[..., 10:20, 10:20] = 2.0
    target.fuse(far, estimate(patch))
    for _ in range(6):
        target.revise(far, estimate(patch))
    target.revise(far, estimate(wall_depth(pose())))  # 2 852 surfels more than there is room for
    before = cKDTree(target.surfels.positions.numpy())
    target.withdraw(2)
    # Every keyframe measured the same points, so those that are left have not moved.
    distance, _ = before.query(target.surfels.positions.numpy())
    assert len(target) > 2852 and distance.max() < 1e-5


def test_older_keyframes_and_unknown_ones_are_refused() -> None:
    target = surfel_map()
    for index in range(6):
        fuse(target, 0.1 * index, index)
    before = target.state_hash()
    for index in (0, 1, 99):
        with pytest.raises(MapError, match="one of the last 4 .2, 3, 4, 5."):
            target.withdraw(index)
    bad = dataclasses.replace(keyframe(pose(), 5), T_map_camera=torch.zeros(4, 4))
    with pytest.raises(PoseError):
        target.revise(bad, estimate(wall_depth(pose())))
    with pytest.raises(MapError, match="expected"):
        target.revise(keyframe(pose(), 5), estimate(torch.ones(1, 1, 3, 3)))
    assert target.state_hash() == before


def test_without_the_parameter_nothing_is_kept() -> None:
    target = SurfelMap(MapConfig(), torch.device("cpu"))
    fuse(target, 0.0, 0)
    with pytest.raises(MapError, match="raise map.revisable_keyframes"):
        target.withdraw(0)
