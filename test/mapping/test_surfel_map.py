"""PointFusion against closed-form walls."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import MapError, PoseError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.block_index import BlockIndex
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import PAGE
from synthetic import CAMERA, estimate, keyframe, pose, wall_depth

CPU = torch.device("cpu")
# Normals come from neighbours, so the outermost pixels have none.
INSIDE = (48 - 2) * (64 - 2)


def surfel_map(**values: object) -> SurfelMap:
    return SurfelMap(dataclasses.replace(MapConfig(), **values), CPU)  # type: ignore[arg-type]


def fuse(target: SurfelMap, T: torch.Tensor, index: int = 0, grey: float = 0.5) -> object:
    seen = keyframe(T, index, grey)
    assert seen.sensor_depth is not None
    return target.fuse(seen, estimate(seen.sensor_depth))


def test_the_first_keyframe_becomes_one_surfel_a_pixel() -> None:
    target = surfel_map()
    fuse(target, pose())
    surfels = target.surfels
    assert INSIDE <= len(target) <= 48 * 64
    assert torch.allclose(surfels.positions[:, 2], torch.tensor(2.0), atol=1e-5)
    assert torch.allclose(surfels.normals, torch.tensor([0.0, 0.0, -1.0]), atol=1e-4)
    assert torch.allclose(surfels.colors, torch.tensor(0.5))
    # Keller et al.: a pixel's footprint d / f / sqrt(2) over the cosine of incidence (1 here).
    assert torch.allclose(surfels.radius, torch.tensor(2.0 / 60.0 / 2**0.5), rtol=1e-3)


def test_the_same_view_merges_and_adds_nothing() -> None:
    target = surfel_map()
    fuse(target, pose())
    size, confidence = len(target), target.surfels.confidence.clone()
    stats = fuse(target, pose(), 1)
    assert (stats.added, stats.merged, len(target)) == (0, size, size)  # type: ignore[attr-defined]
    assert torch.allclose(target.surfels.confidence, 2 * confidence)


def test_a_shifted_view_adds_only_what_is_new() -> None:
    # 0.2 m sideways at 2 m and f = 60 is a shift of six pixels.
    target = surfel_map()
    fuse(target, pose())
    stats = fuse(target, pose(x=0.2), 1)
    new_columns = 6 * 48
    assert new_columns - 48 <= stats.added <= new_columns + 2 * (48 + 64)  # type: ignore[attr-defined]


def test_merging_averages_by_confidence() -> None:
    target = surfel_map()
    fuse(target, pose(), 0, grey=0.2)
    fuse(target, pose(), 1, grey=0.8)
    assert torch.allclose(target.surfels.colors, torch.tensor(0.5), atol=1e-5)
    fuse(target, pose(), 2, grey=0.8)
    assert torch.allclose(target.surfels.colors, torch.tensor(0.6), atol=1e-5)


def test_confidence_falls_with_distance_from_the_principal_point() -> None:
    target = surfel_map()
    fuse(target, pose())
    positions, confidence = target.surfels.positions, target.surfels.confidence
    # gamma is the pixel distance over that of the farthest corner: no metres, no resolution.
    pixels = positions[:, :2] / positions[:, 2:] * 60.0
    gamma = pixels.norm(dim=1) / np.hypot(31.5, 23.5)
    expected = torch.exp(-(gamma**2) / (2 * 0.6**2))
    assert torch.allclose(confidence, expected, atol=1e-4)


def test_confidence_does_not_depend_on_depth() -> None:
    values = []
    for z in (0.0, 1.5):
        target = surfel_map()
        fuse(target, pose(z=z))
        values.append(target.surfels.confidence.max())
    assert values[0] == values[1]


def test_confidence_is_bounded() -> None:
    target = surfel_map(max_confidence=2.0)
    for index in range(6):
        fuse(target, pose(), index)
    assert target.surfels.confidence.max() <= 2.0


def test_noise_averages_out() -> None:
    target, generator = surfel_map(), torch.Generator().manual_seed(0)
    errors = []
    for index in range(10):
        noise = 0.004 * torch.randn((1, 1, 48, 64), generator=generator)
        seen = keyframe(pose(), index)
        target.fuse(seen, estimate(wall_depth(pose()) + noise))
        confident = target.surfels.confidence > 0.6 * target.surfels.confidence.max()
        errors.append((target.surfels.positions[confident, 2] - 2.0).abs().mean().item())
    assert errors[-1] < 0.6 * errors[0]


def test_a_standing_camera_with_noise_adds_almost_nothing() -> None:
    # Pixels 9 mm apart with 4 mm of noise: normals from single pixels would be off by 30 degrees.
    camera = PinholeCamera(width=160, height=120, fx=220.0, fy=220.0, cx=79.5, cy=59.5)
    generator, target, sizes = torch.Generator().manual_seed(0), surfel_map(), []
    for index in range(20):
        depth = 2.0 + 0.004 * torch.randn((1, 1, 120, 160), generator=generator)
        image = torch.full((1, 3, 120, 160), 0.5)
        seen = dataclasses.replace(keyframe(pose(), index), camera=camera, image=image)
        sizes.append(target.fuse(seen, estimate(depth)).total)
    assert sizes[-1] < 1.05 * sizes[0]


def test_two_walls_apart_are_kept_apart_and_close_ones_merge() -> None:
    for gap, merges in ((0.03, True), (0.3, False)):
        target = surfel_map(distance_m=0.05, stable_confidence=0.0)
        fuse(target, pose())
        seen = keyframe(pose(), 1)
        stats = target.fuse(seen, estimate(wall_depth(pose(), 2.0 + gap)))
        assert (stats.merged > 0.95 * INSIDE) == merges


def test_the_far_side_of_a_board_is_another_surface() -> None:
    # The same place seen from behind has the opposite normal: it must not merge.
    target = surfel_map()
    fuse(target, pose())
    size = len(target)
    behind = pose(z=4.0, yaw_deg=180.0)
    stats = target.fuse(keyframe(behind, 1), estimate(wall_depth(behind)))
    assert stats.merged == 0 and len(target) == size + stats.added


def test_what_a_measurement_sees_through_is_removed() -> None:
    target = surfel_map()
    seen = keyframe(pose())
    ghost = wall_depth(pose(), 1.0)
    target.fuse(seen, estimate(ghost))
    stats = target.fuse(keyframe(pose(), 1), estimate(wall_depth(pose(), 3.0)))
    assert stats.removed > 0.9 * INSIDE
    assert (target.surfels.positions[:, 2] > 2.0).float().mean() > 0.9


def test_confident_surfels_are_not_seen_through() -> None:
    target = surfel_map(stable_confidence=2.0)
    for index in range(10):
        target.fuse(keyframe(pose(), index), estimate(wall_depth(pose(), 1.0)))
    stable = int((target.surfels.confidence >= 2.0).sum())
    target.fuse(keyframe(pose(), 11), estimate(wall_depth(pose(), 3.0)))
    assert int((target.surfels.positions[:, 2] < 1.5).sum()) == stable > 1000


def test_duplicates_on_a_measured_surface_go_when_nothing_confirms_them() -> None:
    for keyframes, kept in ((5, True), (12, False)):
        target = surfel_map(unconfirmed_keyframes=6, stable_confidence=2.0)
        fuse(target, pose())
        # Normals turned away: the surfels are in the right place but match nothing.
        size, away = len(target), torch.tensor([1.0, 0.0, 0.0])
        turned = dataclasses.replace(target.surfels, normals=away.repeat(size, 1))
        target.restore(turned, target.keyframes)
        for index in range(1, keyframes + 1):
            fuse(target, pose(), index)
        stray = (target.surfels.normals[:, 0] > 0.9).sum()
        assert (int(stray) > 0) == kept and int(stray) in (0, size)


def test_depth_edges_make_no_surfels_in_the_air() -> None:
    depth = torch.full((1, 1, 48, 64), 1.0)
    depth[..., 32:] = 3.0
    depth[..., 31] = 2.0
    target = surfel_map()
    target.fuse(keyframe(pose()), estimate(depth))
    z = target.surfels.positions[:, 2]
    assert ((z - 1.0).abs() < 1e-4).logical_or((z - 3.0).abs() < 1e-4).all()


def test_invalid_depth_makes_no_surfels() -> None:
    for value in (0.0, float("nan"), float("inf"), -1.0):
        target = surfel_map()
        stats = target.fuse(keyframe(pose()), estimate(torch.full((1, 1, 48, 64), value)))
        assert stats.total == 0


def test_zero_confidence_pixels_are_left_out() -> None:
    confidence = torch.ones((1, 1, 48, 64))
    confidence[..., :32] = 0.0
    target = surfel_map()
    target.fuse(keyframe(pose()), estimate(wall_depth(pose()), confidence))
    assert (target.surfels.positions[:, 0] > 0).all() and len(target) > 0


@pytest.mark.parametrize("shape", [(1, 1, 24, 32), (1, 1, 48, 63), (48, 64), (2, 1, 48, 64)])
def test_depth_of_another_size_is_refused_and_the_map_kept(shape: tuple[int, ...]) -> None:
    target = surfel_map()
    fuse(target, pose())
    before = target.state_hash()
    with pytest.raises(MapError, match=r"expected \(1, 1, 48, 64\)"):
        target.fuse(keyframe(pose(), 1), estimate(torch.ones(shape)))
    assert target.state_hash() == before


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 3.0])
def test_a_pose_that_is_not_rigid_is_refused_and_the_map_kept(broken: float) -> None:
    target = surfel_map()
    fuse(target, pose())
    before = target.state_hash()
    T = pose()
    T[0, 0] = broken
    with pytest.raises(PoseError):
        target.fuse(keyframe(T, 1), estimate(wall_depth(pose())))
    assert target.state_hash() == before


@pytest.mark.parametrize("offset", [1e4, 4e4])
def test_a_map_far_from_its_origin_still_merges(offset: float) -> None:
    target = surfel_map()
    fuse(target, pose(x=offset))
    assert fuse(target, pose(x=offset), 1).added < 0.02 * INSIDE  # type: ignore[attr-defined]


@pytest.mark.parametrize("offset", [6e4, 5e6, 1e20, 1e39])
def test_poses_too_far_for_single_precision_are_refused(offset: float) -> None:
    # A UTM northing is 5e6 m: positions would be half a metre apart at best.
    target = surfel_map(revisable_keyframes=2)
    fuse(target, pose())
    before = target.state_hash()
    with pytest.raises(PoseError, match="let the map frame start where the robot starts"):
        fuse(target, pose(x=offset), 1)
    with pytest.raises(PoseError):
        target.revise(keyframe(pose(x=offset), 0), estimate(wall_depth(pose())))
    assert target.state_hash() == before


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 40), (2, 2), (3, 3)])
def test_images_of_a_few_pixels_are_survived(width: int, height: int) -> None:
    target = surfel_map()
    camera = PinholeCamera(width, height, 10.0, 10.0, 0.0, 0.0)
    image, depth = torch.ones((1, 3, height, width)), torch.ones((1, 1, height, width))
    seen = dataclasses.replace(keyframe(pose()), camera=camera, image=image)
    assert target.fuse(seen, estimate(depth)).total <= 1


def test_unconfirmed_surfels_are_evicted_before_confirmed_ones() -> None:
    target = surfel_map(max_surfels=5600, stable_confidence=2.0)
    for index in range(4):
        fuse(target, pose(), index)
    confirmed = int((target.surfels.confidence >= 2.0).sum())
    for index in range(4, 8):
        fuse(target, pose(x=10.0 * index), index)
        assert len(target) <= 5600
    near = target.surfels.positions[:, 0].abs() < 2
    assert int(near.sum()) == confirmed > 500


def test_without_unconfirmed_surfels_what_was_seen_longest_ago_is_forgotten() -> None:
    target = surfel_map(max_surfels=8000, stable_confidence=0.0)
    for index in range(5):
        fuse(target, pose(x=10.0 * index), index)
    x = target.surfels.positions[:, 0]
    assert len(target) <= 8000
    assert not (x < 5).any() and int((x > 35).sum()) >= INSIDE


def test_the_keyframe_at_work_survives_its_own_eviction() -> None:
    target = surfel_map(max_surfels=4000)
    fuse(target, pose())
    fuse(target, pose(x=10.0), 1)
    assert int((target.surfels.positions[:, 0] > 5).sum()) >= INSIDE


def test_active_surfels_are_those_in_view() -> None:
    target = surfel_map()
    fuse(target, pose())
    fuse(target, pose(x=10.0), 1)
    active = target.snapshot(index=target.active(CAMERA, pose()))
    assert INSIDE <= len(active) <= 48 * 64
    assert (active.positions[:, 0] < 5).all()
    assert len(target.active(CAMERA, pose(yaw_deg=180.0))) == 0


def test_snapshots_are_copies_thinned_and_filtered() -> None:
    target = surfel_map()
    fuse(target, pose())
    whole = target.snapshot()
    target.clear()
    fuse(target, pose(z=-1.0))
    assert whole.positions[:, 2].max() < 2.1 and whole.colors.dtype == np.uint8
    assert 90 <= len(target.snapshot(max_points=100)) <= 100
    assert len(target.snapshot(max_points=len(target))) == len(target)
    confident = target.snapshot(min_confidence=0.5)
    assert 0 < len(confident) < len(whole) and confident.confidence.min() >= 0.5


def test_a_thinned_snapshot_covers_the_whole_map() -> None:
    target = surfel_map()
    for index in range(5):
        fuse(target, pose(x=3.0 * index), index)
    thin = target.snapshot(max_points=500)
    shares = np.histogram(thin.positions[:, 0], bins=5, range=(-1.5, 13.5))[0] / len(thin)
    assert np.allclose(shares, 0.2, atol=0.03)


def test_an_empty_map_can_be_asked_anything() -> None:
    target = surfel_map()
    assert len(target.snapshot()) == 0 and len(target.active(CAMERA, pose())) == 0
    assert len(target.state_hash()) == 64
    target.clear()
    assert len(target) == 0


def test_the_hash_sees_every_column() -> None:
    target = surfel_map()
    fuse(target, pose())
    surfels = target.surfels
    target.restore(surfels, 1)
    seen = {target.state_hash()}
    names = [column.name for column in dataclasses.fields(surfels)]
    for name in names:
        column = getattr(surfels, name).clone()
        column[5] += 1
        target.restore(dataclasses.replace(surfels, **{name: column}), 1)
        seen.add(target.state_hash())
    assert len(seen) == 1 + len(names) == 9


def test_a_surfel_knows_the_keyframe_that_created_it_and_the_fusions_that_made_it() -> None:
    target = surfel_map(revisable_keyframes=3)
    for index in (10, 20, 30):
        fuse(target, pose(x=5.0 * index), index)
    surfels = target.surfels
    assert torch.equal(surfels.keyframe, 10 * (surfels.created + 1))
    assert torch.equal(surfels.created, surfels.updated)
    fuse(target, pose(x=5.0 * 30), 40)  # merges into keyframe 30's surfels
    last = target.surfels[target.surfels.keyframe == 30]
    assert (last.created == 2).all() and (last.updated == 3).all() and len(last) > INSIDE - 10


def test_what_a_revision_adds_carries_its_keyframe() -> None:
    target = surfel_map(revisable_keyframes=3)
    for index in range(3):
        fuse(target, pose(x=10.0 * index), index)
    seen = keyframe(pose(x=-10.0), 0)
    target.revise(seen, estimate(wall_depth(pose())))
    revised = target.surfels[target.surfels.positions[:, 0] < -5]
    assert len(revised) >= INSIDE
    assert (revised.keyframe == 0).all() and (revised.created == 3).all()


def test_a_surfel_takes_no_more_than_64_bytes() -> None:
    target = surfel_map()
    fuse(target, pose())
    columns = target.surfels.columns()
    assert sum(column.nbytes for column in columns) == 56 * len(target)


def every_block(blocks: BlockIndex, *_: object) -> torch.Tensor:
    """Stands for `BlockIndex.in_view` and leaves out nothing."""
    return torch.ones(len(blocks), dtype=torch.bool)


def test_culling_by_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # The map that looks at every block at every keyframe is the reference.
    culled, exhaustive = surfel_map(), surfel_map()
    generator = torch.Generator().manual_seed(4)
    for index in range(25):
        T = pose(x=0.3 * index, z=-0.1 * (index % 5), yaw_deg=23.0 * index)
        depth = wall_depth(T, 2.0 + 0.5 * (index % 3))
        depth = depth + 0.01 * torch.randn(depth.shape, generator=generator)
        depth = torch.where((depth > 0) & (depth < 12), depth, 0.0)
        stats = culled.fuse(keyframe(T, index), estimate(depth))
        with monkeypatch.context() as patch:
            patch.setattr(BlockIndex, "in_view", every_block)
            assert stats == exhaustive.fuse(keyframe(T, index), estimate(depth))
    assert culled.state_hash() == exhaustive.state_hash() and len(culled) > 5000


def test_slots_of_a_full_map_stay_bounded() -> None:
    target = surfel_map(max_surfels=6000)
    slots = []
    for index in range(60):
        fuse(target, pose(x=0.5 * index, yaw_deg=5.0 * (index % 7)), index)
        assert len(target) == len(target.surfels)
        slots.append(target.slot_count)
    assert max(slots[30:]) <= max(slots[:30]) * 1.1
    assert target.block_count <= target.slot_count / PAGE
