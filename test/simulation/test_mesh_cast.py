"""Triangle meshes in the ray caster against Open3D's, and how they look."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.simulation.builder import Material, Place
from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.furnished_rooms import generate_furnished_scene
from e2e_slam_ros.simulation.furniture_library import FurnitureModel
from e2e_slam_ros.simulation.mesh_clusters import mesh_clusters
from e2e_slam_ros.simulation.renderer import render
from e2e_slam_ros.simulation.scene import MESH, Scene
from e2e_slam_ros.simulation.scene_queries import distance
from e2e_slam_ros.simulation.shadow import bake_shadows

from . import rooms
from .furniture_models import box_corners, library, model_of

K = torch.tensor([[150.0, 0.0, 95.5], [0.0, 140.0, 71.5], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 144, 192


def torus(o3d) -> FurnitureModel:
    mesh = o3d.geometry.TriangleMesh.create_torus(0.5, 0.2, 30, 20)
    return model_of(np.asarray(mesh.vertices)[np.asarray(mesh.triangles)].astype(np.float32))


def reference_depth(o3d, scene: Scene, T_map_camera: torch.Tensor) -> torch.Tensor:
    """Depth of the scene's triangles and room by Open3D, inf where there are neither."""
    cast = o3d.t.geometry.RaycastingScene()
    assert scene.meshes is not None
    points = scene.meshes.corners.reshape(-1, 3).numpy()
    index = np.arange(len(points), dtype=np.uint32).reshape(-1, 3)
    cast.add_triangles(o3d.core.Tensor(points), o3d.core.Tensor(index))
    size = 2.0 * scene.half[0].numpy().astype(np.float64)
    hull = o3d.geometry.TriangleMesh.create_box(*size)
    hull.translate(scene.centre[0].numpy() - size / 2)
    cast.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(hull))
    count = len(T_map_camera)
    rays = pixel_rays(HEIGHT, WIDTH, K.expand(count, 3, 3)).double()
    along = torch.einsum("bij,bjhw->bhwi", T_map_camera[:, :3, :3], rays)
    origin = T_map_camera[:, None, None, :3, 3].expand_as(along)
    both = torch.cat([origin, along], dim=-1).float().numpy()
    return torch.from_numpy(cast.cast_rays(o3d.core.Tensor(both))["t_hit"].numpy())


def test_depth_is_that_of_an_independent_ray_caster() -> None:
    o3d = pytest.importorskip("open3d")
    build = rooms.empty_room()
    build.mesh(Place(0.3, 0.2, 1.4, 0.7), torus(o3d), [rooms.GREY])
    build.mesh(Place(-1.5, 0.4, 0.9, -1.2), torus(o3d), [rooms.GREY])
    build.mesh(Place(1.5, -0.9, 0.0, 0.4), model_of(box_corners(0.9, 0.5, 1.2, 5)), [rooms.GREY])
    scene = rooms.finished(build)
    # From outside, from within the ring, from within the ring's tube, and very near.
    places = torch.tensor([[-3.0, -2.0, 1.8], [0.3, 0.2, 1.42], [0.3, 0.7, 1.4], [1.45, -0.3, 1]])
    angle = torch.tensor([[0.6, 2.0, 0.3, -1.5], [-0.1, 0.1, 0.0, -0.4], [0.0, 0.4, 0.0, 0.2]])
    pose = look_along(places.double(), *angle.double())
    depth = render([scene], pose, K, HEIGHT, WIDTH).depth[:, 0]
    expected = reference_depth(o3d, scene, pose)
    off = (depth / expected - 1.0).abs()
    assert (off > 1e-4).float().mean() < 1e-3
    # The views show triangles, not the walls alone.
    walls = render([rooms.finished(rooms.empty_room())], pose, K, HEIGHT, WIDTH).depth[:, 0]
    assert ((depth < 0.99 * walls).flatten(1).float().mean(1) > 0.05).all()


def test_a_furnished_room_is_that_of_an_independent_ray_caster() -> None:
    o3d = pytest.importorskip("open3d")
    scene = generate_furnished_scene(3, library(), texture_size=64, shadow_size=0)
    kept = (scene.kind == MESH) | (torch.arange(len(scene)) == 0)
    meshes = scene.meshes
    assert meshes is not None
    pose = look_along(
        torch.tensor([[0.2, 0.1, 1.3]] * 3, dtype=torch.float64),
        torch.tensor([0.3, 2.4, 4.5], dtype=torch.float64),
        torch.full((3,), -0.3, dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
    )
    parts = {name: getattr(scene, name)[kept] for name in ("kind", "centre", "half", "rotation")}
    surfaces = replace(
        scene.surfaces,
        **{name: getattr(scene.surfaces, name)[kept] for name in vars(scene.surfaces)},
    )
    meshes = replace(meshes, first=meshes.first[kept], count=meshes.count[kept])
    bare = replace(scene, surfaces=surfaces, meshes=meshes, **parts)
    depth = render([bare], pose, K, HEIGHT, WIDTH).depth[:, 0]
    off = (depth / reference_depth(o3d, bare, pose) - 1.0).abs()
    assert (off > 1e-4).float().mean() < 1e-3


def test_triangles_have_two_sides_and_their_own_colours() -> None:
    # One triangle across the view, seen from the front and from behind.
    corners = np.array([[[-5, 0, -5], [5, 0, -5], [0, 0, 9]]], dtype=np.float32)
    order, clusters = mesh_clusters(corners)
    model = FurnitureModel(
        corners[order], np.array([[0.9, 0.2, 0.1]], np.float32), np.zeros(1, np.int64), clusters,
        (10.0, 0.01, 14.0), 0.0, "small", "Sheet", "Ann", "CC0-1.0",
    )  # fmt: skip
    build = rooms.empty_room()
    build.mesh(Place(0.0, 0.0, 1.5), model, [Material(0)])
    scene = rooms.finished(build)
    pose = torch.cat(
        [
            rooms.pose((0.0, -1.0, 1.5), yaw=math.pi / 2),
            rooms.pose((0.0, 1.0, 1.5), yaw=-math.pi / 2),
        ]
    )
    seen = render([scene], pose, rooms.INTRINSICS, rooms.HEIGHT, rooms.WIDTH)
    middle = (slice(None), slice(None), slice(20, 40), slice(30, 50))
    torch.testing.assert_close(seen.depth[middle], torch.ones(2, 1, 20, 20), atol=1e-6, rtol=0)
    towards = torch.tensor([0.0, 0.0, -1.0])[None, :, None, None].expand(2, 3, 20, 20)
    torch.testing.assert_close(seen.normals[middle], towards, atol=1e-6, rtol=0)
    red, green, blue = seen.image[middle].mean(dim=(0, 2, 3))
    assert red > 1.5 * green > 1.5 * blue


def test_a_mesh_throws_a_shadow() -> None:
    build = rooms.empty_room()
    board = model_of(box_corners(0.8, 0.8, 0.02, 3))
    build.mesh(Place(0.0, 0.0, 1.5), board, [rooms.GREY])
    scene = bake_shadows(rooms.finished(build), 128)
    lamps = scene.lamps
    assert lamps.shadow is not None
    # The first lamp is 1 m above the board: its map looks straight down at it.
    down = lamps.shadow[0, 4]
    assert float(down[64, 64]) == pytest.approx(2.5 - 1.52, abs=2e-3)
    assert float(down[0, 0]) == pytest.approx(2.5, abs=2e-2)


def test_meshes_keep_cameras_away() -> None:
    build = rooms.empty_room()
    build.mesh(Place(1.0, 0.0, 0.0), model_of(box_corners(0.4, 0.4, 2.0, 4)), [rooms.GREY])
    scene = rooms.finished(build)
    near, far = distance(scene, torch.tensor([[0.7, 0.0, 1.0], [-1.0, 0.0, 1.0]]))
    assert float(near) == pytest.approx(0.1, abs=5e-3)
    assert float(far) == pytest.approx(1.0, abs=5e-3)


def test_scenes_with_and_without_meshes_render_in_one_batch() -> None:
    plain = rooms.finished(rooms.room_with_everything())
    build = rooms.empty_room()
    build.mesh(Place(1.0, 0.0, 0.0), model_of(box_corners(0.4, 0.6, 1.6, 4)), [rooms.GREY])
    furnished = rooms.finished(build)
    pose = rooms.pose((-1.0, 0.2, 1.4))
    alone = [render([scene], pose, K, 64, 96) for scene in (plain, furnished)]
    both = render([plain, furnished], pose.repeat(2, 1, 1), K, 64, 96)
    for name in ("image", "depth", "normals"):
        expected = torch.cat([getattr(views, name) for views in alone])
        assert torch.equal(getattr(both, name), expected)
