"""Three planes that meet, and what a camera sees of them: depth and pictures are exact."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.tracking.dense.view import DenseView

HEIGHT, WIDTH = 120, 160
# Normals and distances in the map: a wall in front, one to the right, a floor (y is down).
CORNER = (((0.0, 0.0, 1.0), 3.0), ((1.0, 0.0, 0.6), 2.2), ((0.0, 1.0, 0.5), 1.7))
WALL = (((0.0, 0.0, 1.0), 3.0),)
MOTION = (0.06, -0.04, 0.08, 0.03, -0.05, 0.04)


def intrinsics(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    rows = [[140.0, 0.0, 79.5], [0.0, 140.0, 59.5], [0.0, 0.0, 1.0]]
    return torch.tensor(rows, dtype=dtype)


def pose(twist: tuple[float, ...], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """(1, 4, 4)."""
    return se3.exp(torch.tensor([twist], dtype=dtype))


def depth(
    T_map_camera: torch.Tensor,
    planes: tuple[tuple[tuple[float, ...], float], ...] = CORNER,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> torch.Tensor:
    """(B, 1, H, W) of the nearest plane; poses (B, 4, 4)."""
    dtype = T_map_camera.dtype
    rays = pixel_rays(*size, intrinsics(dtype)).flatten(2)
    rotation, centre = T_map_camera[:, :3, :3], T_map_camera[:, :3, 3:]
    found = []
    for direction, distance in planes:
        normal = torch.tensor([direction], dtype=dtype)
        normal = normal / normal.norm()
        along = normal @ rotation @ rays
        z = (distance - normal @ centre) / along
        found.append(torch.where(z > 0, z, torch.inf))
    return torch.stack(found).amin(0).reshape(-1, 1, *size)


def picture(T_map_camera: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """(B, 1, H, W) in [0, 1]: smooth waves that depend on the place in the map."""
    rays = pixel_rays(*z.shape[-2:], intrinsics(z.dtype))
    points = T_map_camera[:, :3, :3] @ (rays * z).flatten(2) + T_map_camera[:, :3, 3:]
    x, y, d = points.unbind(1)
    waves = torch.sin(9 * x + 3 * d) + torch.sin(7 * y - 4 * d + 1) + torch.sin(13 * x - 11 * y)
    return (0.5 + 0.1 * waves).reshape(z.shape)


def view(
    T_map_camera: torch.Tensor,
    planes: tuple[tuple[tuple[float, ...], float], ...] = CORNER,
    *,
    with_depth: bool = True,
) -> list[DenseView]:
    """The pyramid of a view with exact picture and depth."""
    z = depth(T_map_camera, planes)
    grey = picture(T_map_camera, z)
    seen = z if with_depth else torch.zeros_like(z)
    return DenseView.from_images(grey, seen, intrinsics(z.dtype)).pyramid(3)


def error(T: torch.Tensor, true: torch.Tensor) -> float:
    """The largest component of the twist between two poses."""
    return float(se3.log(se3.inverse(true) @ T).abs().max())
