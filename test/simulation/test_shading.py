"""Light and textures: shadows, highlights, mipmaps, exposure."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.simulation.atlas import build_atlas, sample
from e2e_slam_ros.simulation.builder import Place
from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.renderer import render
from e2e_slam_ros.simulation.scene_queries import first_hit
from e2e_slam_ros.simulation.shading import face_rotations, visibility
from e2e_slam_ros.simulation.shadow import bake_shadows

from . import rooms


def test_texel_centres_return_texels_and_textures_repeat() -> None:
    texture = torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    atlas = build_atlas([texture[:1], texture[1:]])
    v, u = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    u, v = (u.reshape(-1) + 0.5) / 8, (v.reshape(-1) + 0.5) / 8
    layer, near = torch.ones(64, dtype=torch.int64), torch.ones(64)
    found = sample(atlas, layer, u - 3.0, v + 2.0, near)
    torch.testing.assert_close(found, texture[1].reshape(-1, 3), atol=1e-5, rtol=0)


def test_between_texels_colours_are_blended_and_wrap_around() -> None:
    texture = torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    atlas = build_atlas([texture])
    one, layer = torch.ones(2), torch.zeros(2, dtype=torch.int64)
    # A quarter of the way from column 3 to 4, and half way from the last row to the first.
    u, v = torch.tensor([3.75 / 8, 0.5 / 8]), torch.tensor([2.5 / 8, 0.0])
    found = sample(atlas, layer, u, v, one)
    torch.testing.assert_close(found[0], 0.75 * texture[0, 2, 3] + 0.25 * texture[0, 2, 4])
    torch.testing.assert_close(found[1], 0.5 * texture[0, 7, 0] + 0.5 * texture[0, 0, 0])


def test_far_away_a_texture_is_its_mean() -> None:
    texture = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    atlas = build_atlas([texture])
    far = torch.full((5,), 1e4)
    layer = torch.zeros(5, dtype=torch.int64)
    found = sample(atlas, layer, torch.linspace(0, 1, 5), torch.zeros(5), far)
    mean = texture.mean((1, 2)).expand(5, 3)
    torch.testing.assert_close(found, mean, atol=1e-3, rtol=0)


def test_floor_is_lit_by_lambert_and_the_inverse_square() -> None:
    build = rooms.empty_room()
    scene = rooms.finished(build)
    scene = replace(scene, textures=torch.full_like(scene.textures, 0.5))
    T = rooms.pose((0.5, -0.3, 1.6), pitch=-math.pi / 2)
    seen = render([scene], T, rooms.INTRINSICS, rooms.HEIGHT, rooms.WIDTH)
    turn = T[0, :3, :3].float()
    points = turn @ rooms.rays().reshape(3, -1) * 1.6 + T[0, :3, 3:].float()
    expected = scene.lamps.ambient[1][:, None].expand(3, points.shape[1])
    for position, color in zip(scene.lamps.position, scene.lamps.color, strict=True):
        square = (position[:, None] - points).square().sum(0)
        lit = position[2] / square.sqrt() / (square + 0.25)
        expected = expected + color[:, None] * lit
    linear = -torch.log(1.0 - seen.image[0].reshape(3, -1).square())
    torch.testing.assert_close(linear, 0.5 * expected, atol=1e-3, rtol=1e-3)


def test_bands_of_rows_make_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = rooms.finished(rooms.room_with_everything())
    T = rooms.pose((0.0, 0.0, 1.4), 0.1, -0.1)
    whole = render([scene], T, rooms.INTRINSICS, rooms.HEIGHT, rooms.WIDTH)
    monkeypatch.setattr("e2e_slam_ros.simulation.renderer._CPU_PIXELS", 1000)
    banded = render([scene], T, rooms.INTRINSICS, rooms.HEIGHT, rooms.WIDTH)
    torch.testing.assert_close(banded.image, whole.image, atol=1e-4, rtol=0)
    torch.testing.assert_close(banded.normals, whole.normals, atol=1e-5, rtol=0)


def test_cube_map_cameras_are_rotations() -> None:
    rotation = face_rotations()
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(6, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(6))


def test_shadow_maps_agree_with_rays_to_the_lamp() -> None:
    build = rooms.empty_room()
    build.box(Place(0.0, 0.0), (0.3, 0.2, 1.0), (1.2, 0.8, 0.1), rooms.GREY)
    build.ball(Place(-1.5, 1.0, 1.2), (0, 0, 0), (0.7, 0.7, 0.7), rooms.GREY)
    scene = bake_shadows(rooms.finished(build), 256)
    assert scene.lamps.shadow is not None
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(3))
    points = (points - 0.5) * torch.tensor([7.0, 5.0, 0.0])  # on the floor
    normal = torch.tensor([0.0, 0.0, 1.0])[:, None].expand(3, len(points))
    shadowed = 0
    for index, lamp in enumerate(scene.lamps.position):
        away = lamp - points
        blocked = first_hit(scene, points + 1e-3 * away, away, near=1e-3) < 0.99
        lit = visibility(scene.lamps.shadow[index], normal, away.t())
        assert ((lit > 0.5) == ~blocked).float().mean() > 0.985  # soft edges may differ
        shadowed += int(blocked.sum())
    assert shadowed > 200


def test_rooms_are_well_exposed() -> None:
    scene = generate_scene(5, texture_size=64, shadow_size=32)
    poses = torch.cat([rooms.pose((0.0, 0.0, 1.4), yaw=a) for a in (0.0, 1.6, 3.1, 4.7)])
    image = render([scene], poses, rooms.INTRINSICS, rooms.HEIGHT, rooms.WIDTH).image
    assert 0.3 < image.mean() < 0.6
    assert (image > 0.98).float().mean() < 0.1
    assert (image < 0.05).float().mean() < 0.1
    assert image.std() > 0.08


def test_effects_are_repeatable_and_zero_effects_change_nothing() -> None:
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(SensorEffects(0.0, 0.0, 0.0, 0.0).apply(image, 3, 0.1), image)
    effects = SensorEffects(seed=4)
    first, again = effects.apply(image, 3, 0.1), effects.apply(image, 3, 0.1)
    assert torch.equal(first, again)
    assert not torch.equal(first, effects.apply(image, 4, 0.1))
    noise = SensorEffects(0.0, 0.0, 0.0, noise=0.01).apply(torch.full((3, 99, 99), 0.5), 0, 0.0)
    assert 0.009 < noise.std() < 0.011
