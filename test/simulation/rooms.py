"""Plain rooms with known contents, for closed-form checks."""

from __future__ import annotations

import torch

from e2e_slam_ros.simulation.builder import Material, Place, SceneBuilder
from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.scene import Lamps, Scene

GREY = Material(0)
INTRINSICS = torch.tensor([[60.0, 0.0, 39.5], [0.0, 62.0, 29.5], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 60, 80


def empty_room() -> SceneBuilder:
    """A room of 8 x 6 x 3 metres without furniture."""
    build = SceneBuilder()
    build.hull((8.0, 6.0, 3.0), (GREY,) * 6)
    return build


def finished(build: SceneBuilder) -> Scene:
    """The scene with two lamps and one grey texture with structure."""
    texture = 0.3 + 0.4 * torch.rand(1, 32, 32, 1, generator=torch.Generator().manual_seed(1))
    lamps = Lamps(
        torch.tensor([[0.0, 0.0, 2.5], [2.0, 1.0, 2.4]]),
        torch.tensor([[2.0, 2.0, 2.0], [1.0, 0.8, 0.6]]),
        torch.tensor([[0.2, 0.2, 0.2], [0.3, 0.3, 0.3]]),
    )
    return build.build(texture.expand(1, 32, 32, 3).contiguous(), lamps)


def room_with_everything() -> SceneBuilder:
    """Turned boxes, cylinders along each axis, balls and ellipsoids, some overlapping."""
    build = empty_room()
    build.box(Place(1.5, 0.5, 0.0, 0.4), (0, 0, 0.5), (0.8, 0.5, 1.0), GREY)
    build.box(Place(2.0, -1.0, 0.0, -1.1), (0, 0, 0.01), (2.0, 1.0, 0.02), GREY)
    for axis, x in zip("xyz", (1.0, 2.0, 2.5), strict=True):
        build.cylinder(Place(x, -0.8, 1.2, 0.3), (0, 0, 0), 0.15, 0.9, GREY, axis=axis)
    build.ball(Place(2.2, 1.2, 0.9), (0, 0, 0), (0.6, 0.6, 0.6), GREY)
    build.ball(Place(1.4, 0.2, 1.6, 0.8), (0, 0, 0), (0.9, 0.3, 0.2), GREY)
    build.box(Place(0.6, 0.4), (0, 0, 1.3), (0.01, 0.01, 0.9), GREY)
    return build


def pose(
    position: tuple[float, float, float], yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> torch.Tensor:
    """T_map_camera (1, 4, 4) float64."""
    angle = torch.tensor([[yaw], [pitch], [roll]], dtype=torch.float64)
    return look_along(torch.tensor([position], dtype=torch.float64), *angle)


def rays() -> torch.Tensor:
    """Directions (3, H, W) of the test camera's pixels, z = 1."""
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    k = INTRINSICS
    x, y = (u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1]
    return torch.stack([x, y, torch.ones_like(x)])
