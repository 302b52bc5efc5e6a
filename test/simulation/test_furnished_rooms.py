"""Furnished rooms: the same by seed, closed, with space for cameras; other rooms unchanged."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.simulation import MotionStyle, generate_scene, render, smooth_trajectory
from e2e_slam_ros.simulation.close_views import close_pairs
from e2e_slam_ros.simulation.furnished_rooms import ROOM_KINDS, generate_furnished_scene
from e2e_slam_ros.simulation.furnisher import upper_side
from e2e_slam_ros.simulation.room_contents import CONTENTS
from e2e_slam_ros.simulation.scene import MESH, Scene
from e2e_slam_ros.simulation.scene_queries import between_heights, distance

from . import rooms
from .furniture_models import box_corners, library

SEEDS = range(8)
K = torch.tensor([[80.0, 0.0, 63.5], [0.0, 80.0, 47.5], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    shelf = library()
    return [generate_furnished_scene(seed, shelf, texture_size=64, shadow_size=32)
            for seed in SEEDS]  # fmt: skip


def test_the_same_seed_gives_the_same_room(scenes: list[Scene]) -> None:
    again = generate_furnished_scene(2, library(), texture_size=64, shadow_size=32)
    first, second = scenes[2].meshes, again.meshes
    assert first is not None and second is not None
    assert torch.equal(first.corners, second.corners)
    assert torch.equal(first.surfaces.tint, second.surfaces.tint)
    assert torch.equal(scenes[2].exposure, again.exposure)
    assert len(scenes[1]) != len(again) or not torch.equal(scenes[1].centre, again.centre)


def test_models_stand_within_the_walls_and_on_something(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.meshes is not None
        points = scene.meshes.corners.reshape(-1, 3)
        half = scene.half[0]
        assert (points[:, :2].abs() < half[:2] + 0.02).all()
        assert points[:, 2].min() > -0.01
        assert points[:, 2].max() < 2.0 * half[2] + 0.02
        runs = scene.meshes
        assert int(runs.count.sum()) == len(runs.corners)
        assert ((runs.count > 0) == (scene.kind == MESH)).all()


def test_every_kind_of_room_has_contents() -> None:
    assert set(CONTENTS) == set(ROOM_KINDS)


def test_pictures_are_neither_black_nor_white(scenes: list[Scene]) -> None:
    for seed, scene in zip(SEEDS, scenes, strict=True):
        path = smooth_trajectory(scene, 3, 0.5, seed, MotionStyle(clearance_m=0.15))
        seen = render([scene], path, K, 96, 128)
        assert torch.isfinite(seen.image).all()
        assert 0.08 < float(seen.image.mean()) < 0.85
        assert float(seen.depth.min()) > 0.05


def test_a_camera_walks_through_a_furnished_room(scenes: list[Scene]) -> None:
    style = MotionStyle(clearance_m=0.2)
    path = smooth_trajectory(scenes[0], 60, 3.0, 1, style)
    assert float(distance(scenes[0], path[:, :3, 3].float()).min()) > 0.2
    step = (path[1:, :3, 3] - path[:-1, :3, 3]).norm(dim=-1)
    assert float(step.max()) < 0.7 / 3.0 + 0.02


def test_close_views_are_close(scenes: list[Scene]) -> None:
    for seed in (0, 3):
        pairs = close_pairs(scenes[seed], 4, seed)
        assert pairs.shape == (4, 2, 4, 4)
        assert torch.equal(pairs, close_pairs(scenes[seed], 4, seed))
        seen = render([scenes[seed]], pairs.flatten(0, 1), K, 96, 128)
        median = seen.depth.flatten(1).median(-1).values
        assert ((median > 0.3) & (median < 1.5)).all()
        apart = (pairs[:, 0, :3, 3] - pairs[:, 1, :3, 3]).norm(dim=-1)
        assert ((apart > 0.02) & (apart < 0.13)).all()


def test_queries_between_heights_miss_nothing_near() -> None:
    scene = generate_scene(3, texture_size=64, shadow_size=0)
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    points = points * 2.0 * scene.half[0] * 0.95
    points[:, 2] = 1.0 + 0.5 * (points[:, 2] / scene.half[0, 2])
    low, high = float(points[:, 2].min()), float(points[:, 2].max())
    few = between_heights(scene, low - 0.35, high + 0.35)
    assert len(few.kind) < len(scene.kind)
    full, part = distance(scene, points), distance(few, points)
    assert torch.equal(full.clamp(max=0.35), part.clamp(max=0.35))


def test_upper_side_of_a_box() -> None:
    corners = torch.from_numpy(box_corners(1.0, 0.6, 0.75, steps=3))
    points = torch.tensor([[0.0, 0.0], [0.45, 0.25], [0.6, 0.0]])
    torch.testing.assert_close(upper_side(corners, points), torch.tensor([0.75, 0.75, 0.0]))


def test_rooms_without_models_are_as_before() -> None:
    scene = generate_scene(1, texture_size=64, shadow_size=32)
    assert scene.meshes is None
    assert not (scene.kind == MESH).any()
    seen = render([scene], rooms.pose((0.0, 0.0, 1.4)), K, 96, 128)
    # Figures of the renderer before it knew meshes.
    assert float(seen.depth.double().mean()) == pytest.approx(2.9758712315039397, rel=1e-6)
    assert float(seen.image.double().mean()) == pytest.approx(0.4922380329193806, rel=1e-5)
