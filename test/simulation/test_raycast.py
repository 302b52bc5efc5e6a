"""Depth and normals of single shapes in closed form, and all shapes against brute force."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.simulation.builder import Place
from e2e_slam_ros.simulation.raycast import TILE
from e2e_slam_ros.simulation.renderer import RenderedViews, Renderer, render
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.scene_queries import distance, first_hit

from . import rooms


def view(scene: Scene, T_map_camera: torch.Tensor) -> RenderedViews:
    count = len(T_map_camera)
    k = rooms.INTRINSICS.expand(count, 3, 3)
    return render([scene], T_map_camera, k, rooms.HEIGHT, rooms.WIDTH)


def test_wall_straight_ahead_has_constant_depth() -> None:
    # A camera 1 m from the centre looks along +x at the wall at x = 4.
    seen = view(rooms.finished(rooms.empty_room()), rooms.pose((1.0, 0.0, 1.5)))
    ray = rooms.rays()
    # Points on the wall stay within the room's width and height near the middle of the image.
    on_wall = (ray[0].abs() * 3 < 2.9) & (ray[1].abs() * 3 < 1.4)
    assert on_wall.sum() > 1000
    torch.testing.assert_close(
        seen.depth[0, 0][on_wall], torch.full((int(on_wall.sum()),), 3.0), atol=1e-6, rtol=0
    )
    expected = torch.tensor([0.0, 0.0, -1.0])[:, None].expand(3, int(on_wall.sum()))
    torch.testing.assert_close(seen.normals[0][:, on_wall], expected, atol=1e-6, rtol=0)


def test_floor_depth_is_height_over_slope() -> None:
    seen = view(rooms.finished(rooms.empty_room()), rooms.pose((-3.0, 0.0, 1.2)))
    ray = rooms.rays()
    expected = 1.2 / ray[1]
    on_floor = (ray[1] > 0) & (expected < 6.9) & ((expected * ray[0]).abs() < 2.9)
    assert on_floor.sum() > 500
    torch.testing.assert_close(seen.depth[0, 0][on_floor], expected[on_floor], atol=0, rtol=1e-5)


def test_ball_depth_solves_its_quadratic() -> None:
    build = rooms.empty_room()
    build.ball(Place(2.0, 0.0, 1.5), (0, 0, 0), (1.0, 1.0, 1.0), rooms.GREY)
    seen = view(rooms.finished(build), rooms.pose((0.0, 0.0, 1.5)))
    ray = rooms.rays().double()
    # |z r - (0, 0, 2)| = 0.5
    a, b, c = (ray * ray).sum(0), 2.0, 4.0 - 0.25
    root = b * b - a * c
    hit = root > 1e-4
    assert 300 < hit.sum() < 1500
    expected = ((b - root.clamp_min(0).sqrt()) / a)[hit]
    torch.testing.assert_close(seen.depth[0, 0][hit].double(), expected, atol=2e-5, rtol=0)
    assert (seen.depth[0, 0][root < -1e-4] > 2.5).all()
    outward = (ray[:, hit] * expected - torch.tensor([[0.0], [0.0], [2.0]])) / 0.5
    torch.testing.assert_close(seen.normals[0][:, hit].double(), outward, atol=1e-4, rtol=0)


@pytest.mark.parametrize("axis", ["z", "y"])
def test_cylinder_depth_solves_its_quadratic(axis: str) -> None:
    build = rooms.empty_room()
    build.cylinder(Place(2.0, 0.0, 1.5), (0, 0, 0), 0.4, 1.2, rooms.GREY, axis=axis)
    seen = view(rooms.finished(build), rooms.pose((0.0, 0.0, 1.5)))
    ray = rooms.rays().double()
    # Looking along map +x, the camera's x is map -y and its y is map -z.
    across, along = (ray[0], ray[1]) if axis == "z" else (ray[1], ray[0])
    a, b, c = across**2 + 1.0, 2.0, 4.0 - 0.16
    root = b * b - a * c
    expected = (b - root.clamp_min(0).sqrt()) / a
    hit = (root > 1e-4) & ((along * expected).abs() < 0.59)
    assert hit.sum() > 300
    torch.testing.assert_close(seen.depth[0, 0][hit].double(), expected[hit], atol=2e-5, rtol=0)


def test_cylinder_cap_seen_from_above_is_a_disc() -> None:
    build = rooms.empty_room()
    build.cylinder(Place(0.0, 0.0, 0.0), (0, 0, 0.4), 0.5, 0.8, rooms.GREY)
    seen = view(rooms.finished(build), rooms.pose((0.0, 0.0, 2.0), pitch=-math.pi / 2))
    ray = rooms.rays()
    radius = torch.hypot(ray[0], ray[1]) * 1.2
    torch.testing.assert_close(
        seen.depth[0, 0][radius < 0.49], torch.full((int((radius < 0.49).sum()),), 1.2)
    )
    torch.testing.assert_close(
        seen.depth[0, 0][(radius > 0.51) & (radius < 0.8)].amin(), torch.tensor(2.0)
    )


@pytest.mark.parametrize("yaw", [0.0, 0.6, -1.2])
def test_box_turned_towards_the_camera_is_a_plane(yaw: float) -> None:
    build = rooms.empty_room()
    build.box(Place(2.0, 0.0, 1.5, yaw), (0, 0, 0), (0.6, 1.4, 0.8), rooms.GREY)
    # The camera turns with the box, and looks at its -x face from 1.7 m.
    position = (2.0 - 2.0 * math.cos(yaw), -2.0 * math.sin(yaw), 1.5)
    seen = view(rooms.finished(build), rooms.pose(position, yaw=yaw))
    ray = rooms.rays()
    face = (ray[0].abs() * 1.7 < 0.69) & (ray[1].abs() * 1.7 < 0.39)
    assert face.sum() > 500
    torch.testing.assert_close(
        seen.depth[0, 0][face], torch.full((int(face.sum()),), 1.7), atol=2e-6, rtol=0
    )


CAMERAS = [
    ((0.0, 0.0, 1.4), 0.1, -0.1, 0.0),
    ((0.0, 0.5, 1.5), -0.4, -0.4, 0.3),
    ((3.5, 0.0, 2.0), 3.0, -0.3, -0.2),
    # Among the furniture, with primitives beside and behind the camera.
    ((1.9, 0.3, 1.1), -0.8, 0.1, 0.0),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_tiles_find_what_brute_force_finds(
    camera: tuple[tuple[float, float, float], float, float, float],
) -> None:
    scene = rooms.finished(rooms.room_with_everything())
    T = rooms.pose(*camera)
    seen = view(scene, T)
    direction = T[0, :3, :3].float() @ rooms.rays().reshape(3, -1)
    origin = T[0, :3, 3].float().expand(direction.shape[1], 3)
    expected = first_hit(scene, origin, direction.t()).reshape(rooms.HEIGHT, rooms.WIDTH)
    wrong = (seen.depth[0, 0] - expected).abs() > 1e-4
    # Rays that graze an edge may fall on either side in single precision.
    assert wrong.float().mean() < 1e-3
    assert rooms.HEIGHT % TILE != 0, "the last row of tiles is to be a partial one"


def test_points_lie_on_surfaces_and_normals_face_the_camera() -> None:
    scene = rooms.finished(rooms.room_with_everything())
    for camera in CAMERAS:
        T = rooms.pose(*camera)
        seen = view(scene, T)
        points = seen.depth[0].double() * rooms.rays().double()
        world = T[0, :3, :3] @ points.reshape(3, -1) + T[0, :3, 3:]
        gap = distance(scene, world.t().float()).abs()
        # The distance to ellipsoids is a lower bound off their surface and exact on it.
        assert gap.amax() < 1e-4
        facing = (seen.normals[0] * rooms.rays()).sum(0)
        assert (facing < 1e-3).all()
        torch.testing.assert_close(
            seen.normals[0].norm(dim=0), torch.ones(rooms.HEIGHT, rooms.WIDTH)
        )


def test_several_scenes_in_one_batch_equal_single_calls() -> None:
    plain, full = rooms.empty_room(), rooms.room_with_everything()
    scenes = [rooms.finished(plain), rooms.finished(full)]
    poses = torch.cat([rooms.pose(*camera) for camera in CAMERAS])
    k = rooms.INTRINSICS.repeat(4, 1, 1)
    k[1, 0, 0], k[3, 1, 2] = 75.0, 25.0
    together = render(scenes, poses, k, rooms.HEIGHT, rooms.WIDTH)
    for index in range(4):
        one = slice(index, index + 1)
        alone = render([scenes[index // 2]], poses[one], k[one], rooms.HEIGHT, rooms.WIDTH)
        assert torch.equal(together.depth[one], alone.depth)
        torch.testing.assert_close(together.normals[one], alone.normals)
        torch.testing.assert_close(together.image[one], alone.image, atol=1e-5, rtol=0)


def test_numbers_of_views_that_fit_no_scene_are_refused() -> None:
    scene = rooms.finished(rooms.empty_room())
    poses = rooms.pose((0.0, 0.0, 1.5)).repeat(3, 1, 1)
    with pytest.raises(DataError, match="3 poses"):
        render([scene, scene], poses, rooms.INTRINSICS, 16, 16)
    with pytest.raises(DataError, match="no scenes"):
        Renderer([])
