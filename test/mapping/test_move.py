"""Surfels follow the corrected poses of the keyframes that created them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import MapError, PoseError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from synthetic import CAMERA, estimate, keyframe, pose, wall_depth

CPU = torch.device("cpu")
BLOCK_M = 0.25
INSIDE = (48 - 2) * (64 - 2)


def surfel_map(**values: object) -> SurfelMap:
    return SurfelMap(dataclasses.replace(MapConfig(), **values), CPU)  # type: ignore[arg-type]


def fuse(target: SurfelMap, T: torch.Tensor, index: int, grey: float = 0.5) -> object:
    seen = keyframe(T, index, grey)
    return target.fuse(seen, estimate(wall_depth(T)))


def three_walls(revisable_keyframes: int = 0) -> SurfelMap:
    """Keyframes 0 and 1 overlap, keyframe 2 is elsewhere."""
    return copy.deepcopy(_three_walls(revisable_keyframes))


@functools.cache
def _three_walls(revisable_keyframes: int) -> SurfelMap:
    target = surfel_map(revisable_keyframes=revisable_keyframes)
    for index, x in enumerate((0.0, 0.8, 10.0)):
        fuse(target, pose(x=x), index, grey=0.2 + 0.3 * index)
    return target


def similarity(xi: list[float], scale: float = 1.0) -> torch.Tensor:
    T = se3.exp(torch.tensor(xi, dtype=torch.float64))
    T[:3, :3] *= scale
    return T


def assert_same(ours: SurfelMap, theirs: SurfelMap, metres: float = 1e-4) -> None:
    """Same surfels, slots aside."""
    a, b = ours.surfels, theirs.surfels
    assert len(a) == len(b)
    distance, pair = cKDTree(b.positions.numpy()).query(a.positions.numpy())
    assert distance.max() < metres and len(set(pair)) == len(a)
    for name in ("normals", "colors", "confidence", "radius"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name)[pair], atol=2e-4, rtol=1e-4)
    for name in ("keyframe", "created", "updated"):
        assert torch.equal(getattr(a, name), getattr(b, name)[pair]), name


def cells(points: torch.Tensor) -> int:
    """How many voxels of a block's size the points lie in."""
    return len((points / BLOCK_M).floor().unique(dim=0))


def well_inside(points: torch.Tensor, T_map_camera: torch.Tensor) -> torch.Tensor:
    """The points (N, 3) inside the image of a camera, borders left out."""
    local = (points.double() - T_map_camera[:3, 3]) @ T_map_camera[:3, :3]
    u, v, z = (local @ CAMERA.matrix(dtype=torch.float64).T).unbind(1)
    u, v = u / z, v / z
    return points[(z > 0.1) & (u > 0) & (u < CAMERA.width - 1) & (v > 0) & (v < CAMERA.height - 1)]


def assert_sound(target: SurfelMap) -> None:
    """Every surfel is found from where it can be seen.

    A surfel whose page does not belong to the block around it is not found by looking through
    the blocks in view.
    """
    surfels = target.surfels
    assert len(target) == len(surfels)
    middle = surfels.positions.double().mean(0)
    for yaw_deg in (0.0, 90.0, 180.0, 270.0):
        T = pose(yaw_deg=yaw_deg)
        T[:3, 3] = middle - 1.5 * T[:3, 2]
        expected = well_inside(surfels.positions, T)
        if len(expected) > 0:
            found = target.points_in_view(CAMERA, T)
            assert cKDTree(found.numpy()).query(expected.numpy())[0].max() == 0.0


def test_only_the_surfels_of_the_keyframe_move() -> None:
    target = three_walls()
    before = target.surfels
    count = int((before.keyframe == 1).sum())
    assert target.move({1: pose(x=0.7, y=-0.4, z=3.0)}) == count > 500
    after = target.surfels
    shift = torch.tensor([0.7, -0.4, 3.0])
    for index in range(3):
        old, new = before[before.keyframe == index], after[after.keyframe == index]
        expected = old.positions + (shift if index == 1 else 0.0)
        distance, _ = cKDTree(expected.numpy()).query(new.positions.numpy())
        assert len(old) == len(new) and distance.max() < 1e-5
    assert_sound(target)


def test_moves_leave_no_empty_blocks_and_pages_behind() -> None:
    target = three_walls()
    slots = target.slot_count
    for _ in range(10):
        target.move({1: pose(x=3.0, yaw_deg=10.0)})
        # Averages may lie a little outside the block of the surfel they began as.
        assert target.block_count <= 1.3 * cells(target.surfels.positions)
    # While a keyframe moves, its surfels are in neither their old pages nor their new ones.
    assert target.slot_count <= 2 * slots


def test_normals_turn_and_stay_unit() -> None:
    target = three_walls()
    target.move({2: pose(yaw_deg=90.0)})
    turned = target.surfels[target.surfels.keyframe == 2]
    assert torch.allclose(turned.normals, torch.tensor([-1.0, 0.0, 0.0]), atol=1e-4)


def test_a_scale_scales_positions_and_radii() -> None:
    target = three_walls()
    radius = target.surfels.radius[target.surfels.keyframe == 0]
    target.move({0: similarity([0.0] * 6, 1.5)})
    moved = target.surfels[target.surfels.keyframe == 0]
    assert torch.allclose(moved.positions[:, 2], torch.tensor(3.0), atol=1e-4)
    assert torch.allclose(moved.radius.sort().values, 1.5 * radius.sort().values, rtol=1e-4)
    assert torch.allclose(moved.normals.norm(dim=1), torch.ones(len(moved)), atol=1e-5)
    assert_sound(target)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6),
    st.floats(0.5, 2.0),
    st.sets(st.integers(0, 4), min_size=1),
)
def test_there_and_back_is_the_same_map(xi: list[float], scale: float, moved: set[int]) -> None:
    target, reference = three_walls(), three_walls()
    T = similarity(xi, scale)
    target.move(dict.fromkeys(moved, T))
    assert_sound(target)
    target.move(dict.fromkeys(moved, torch.linalg.inv(T)))
    assert_same(target, reference)
    assert_sound(target)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6), st.floats(0.5, 2.0))
def test_one_motion_of_all_keyframes_moves_the_snapshot(xi: list[float], scale: float) -> None:
    target = three_walls()
    before, T = target.snapshot(), similarity(xi, scale)
    assert target.move(dict.fromkeys(range(3), T)) == len(before)
    after = target.snapshot()
    expected = before.positions.astype(np.float64) @ T[:3, :3].T.numpy() + T[:3, 3].numpy()
    distance, pair = cKDTree(expected).query(after.positions)
    assert distance.max() < 1e-4 and len(set(pair)) == len(before)
    normals = before.normals @ (T[:3, :3].numpy() / scale).T
    assert np.abs(after.normals - normals[pair]).max() < 1e-4
    assert np.array_equal(after.colors, before.colors[pair])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6))
def test_a_keyframe_merges_at_its_moved_pose(xi: list[float]) -> None:
    target, T = surfel_map(), similarity(xi)
    fuse(target, pose(), 0)
    size = len(target)
    target.move({0: T})
    again = dataclasses.replace(keyframe(pose(), 0), T_map_camera=T)
    stats = target.fuse(again, estimate(wall_depth(pose())))
    # Rounding may take a pixel's centre across the border of a surfel's.
    assert stats.merged > 0.995 * size and len(target) <= 1.005 * size
    assert_sound(target)


def test_what_is_in_view_follows() -> None:
    target = surfel_map()
    fuse(target, pose(), 0)
    size = len(target.active(CAMERA, pose()))
    target.move({0: pose(x=30.0)})
    assert len(target.active(CAMERA, pose())) == 0
    assert len(target.active(CAMERA, pose(x=30.0))) == size
    assert len(target.points_in_view(CAMERA, pose(x=30.0))) == size
    assert target.snapshot(index=target.active(CAMERA, pose(x=30.0))).positions[:, 0].min() > 25


def test_the_same_moves_give_the_same_hash() -> None:
    maps = [three_walls(revisable_keyframes=2) for _ in range(2)]
    for target in maps:
        target.move({0: pose(x=0.3), 2: pose(z=-0.4, yaw_deg=10.0)})
        fuse(target, pose(x=0.2), 3)
    assert maps[0].state_hash() == maps[1].state_hash()


def test_indices_without_surfels_are_ignored() -> None:
    target = three_walls()
    before = target.state_hash()
    assert target.move({}) == 0 and target.move({77: pose(x=1.0), -1: pose(x=1.0)}) == 0
    assert target.state_hash() == before
    assert surfel_map().move({0: pose(x=1.0)}) == 0


@pytest.mark.parametrize(
    "broken",
    [
        torch.full((4, 4), math.nan, dtype=torch.float64),
        torch.zeros(4, 4, dtype=torch.float64),
        torch.eye(3, dtype=torch.float64),
        torch.eye(4, dtype=torch.float64).expand(2, 4, 4),
        torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64)),
        torch.diag(torch.tensor([1.0, 1.0, 1.2, 1.0], dtype=torch.float64)),
        torch.diag(torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64)),
    ],
    ids=["nan", "zero", "3x3", "batch", "mirror", "stretched", "projective"],
)
@pytest.mark.parametrize("index", [0, 99])
def test_what_is_no_similarity_is_refused_and_the_map_kept(
    broken: torch.Tensor, index: int
) -> None:
    target = three_walls(revisable_keyframes=3)
    before = target.state_hash()
    with pytest.raises(PoseError, match="T_new_old of keyframe"):
        target.move({1: pose(x=1.0), index: broken})
    assert target.state_hash() == before


@pytest.mark.parametrize(
    "T", [pose(x=2e5), similarity([0.0] * 6, 1e7), similarity([0.0] * 6, 1e30)]
)
def test_moves_out_of_the_map_are_refused_and_the_map_kept(T: torch.Tensor) -> None:
    target, reference = (three_walls(revisable_keyframes=3) for _ in range(2))
    with pytest.raises(MapError, match="moved surfels"):
        target.move({0: pose(x=1.0), 1: T})
    assert target.state_hash() == reference.state_hash()
    # What may be revised has not moved either.
    assert target.withdraw(1) == reference.withdraw(1)
    assert target.state_hash() == reference.state_hash()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6),
    st.floats(0.7, 1.4),
    st.sets(st.integers(0, 2), min_size=1),
    st.integers(0, 2),
)
def test_taking_a_keyframe_out_before_or_after_a_move_gives_the_same_map(
    xi: list[float], scale: float, moved: set[int], index: int
) -> None:
    before, after = (three_walls(revisable_keyframes=3) for _ in range(2))
    T_new_old = {k: similarity([value * (k + 1) for value in xi], scale) for k in moved}
    before.withdraw(index)
    before.move(T_new_old)
    after.move(T_new_old)
    after.withdraw(index)
    assert_same(before, after, metres=5e-4)
    assert_sound(after)


def test_a_moved_keyframe_can_be_revised_at_its_new_pose() -> None:
    target = surfel_map(revisable_keyframes=3)
    fuse(target, pose(), 0)
    fuse(target, pose(x=5.0), 1)
    size = len(target)
    target.move({1: pose(x=1.3)})
    moved = dataclasses.replace(keyframe(pose(x=5.0), 1), T_map_camera=pose(x=6.3))
    target.revise(moved, estimate(wall_depth(pose())))
    assert len(target) == size
    assert int((target.surfels.positions[:, 0] > 4.5).sum()) == int(
        (target.surfels.keyframe == 1).sum()
    )
    assert_sound(target)


def test_eviction_goes_on_after_moves() -> None:
    target = surfel_map(max_surfels=6000, revisable_keyframes=2)
    for index in range(20):
        fuse(target, pose(x=0.7 * index), index)
        if index % 4 == 3:
            target.move({index: pose(z=0.3), index - 1: pose(x=0.2), index - 2: pose(y=0.1)})
            target.withdraw(index)
        assert len(target) <= 6000
        assert_sound(target)
        assert torch.isfinite(target.surfels.positions).all()


def test_moved_surfels_keep_when_they_were_seen() -> None:
    # Keyframe 0 was in view long ago; that it moved does not make it recent.
    target = surfel_map(max_surfels=8000, stable_confidence=0.0)
    fuse(target, pose(), 0)
    fuse(target, pose(x=10.0), 1)
    target.move({0: pose(x=-20.0)})
    fuse(target, pose(x=20.0), 2)
    keyframe_of = target.surfels.keyframe
    counts = keyframe_of.bincount(minlength=3).tolist()
    assert counts[0] < 0.7 * INSIDE and min(counts[1:]) >= INSIDE
