"""A mesh at its place in a room: triangles in the map frame and their appearance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from e2e_slam_ros.simulation.furniture_library import FurnitureModel
from e2e_slam_ros.simulation.scene import MESH, Meshes, Surfaces

if TYPE_CHECKING:
    from e2e_slam_ros.simulation.builder import Material

# Added around the triangles of a run, so that rounding loses no pixel, and for flat runs.
_MARGIN_M = 1e-3
# No texture is divided by a mean below this: dark ones would make surfaces glow in their gaps.
_LEAST_MEAN = 0.15


@dataclass(frozen=True, eq=False)
class PlacedMesh:
    """T triangles in runs of C boxes.

    Attributes:
        corners: (T, 3, 3) float32, metres, map frame.
        count: (C,) int64, triangles of each run.
        centre, half: (C, 3) float32, box around each run, along the mesh's axes.
        rotation: (3, 3), columns are the mesh's axes in the map frame.
        normal, u_axis, v_axis, tint, finish: as in `Surfaces`, (T, ...); the tint is the colour
            that the surface shall have on average.

    >>> from e2e_slam_ros.simulation.builder import Material
    >>> corners = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    >>> ones = torch.ones(1, dtype=torch.int64)
    >>> mesh = place_mesh(corners, torch.ones(1, 3), 0 * ones, ones, torch.eye(3),
    ...     torch.tensor([0.0, 0.0, 1.0]), [Material(texture=0)])
    >>> mesh.normal
    tensor([[0., 0., 1.]])
    """

    corners: torch.Tensor
    count: torch.Tensor
    centre: torch.Tensor
    half: torch.Tensor
    rotation: torch.Tensor
    normal: torch.Tensor
    u_axis: torch.Tensor
    v_axis: torch.Tensor
    tint: torch.Tensor
    finish: torch.Tensor


def place_model(
    model: FurnitureModel,
    rotation: torch.Tensor,
    position: torch.Tensor,
    materials: Sequence[Material],
) -> PlacedMesh:
    """Return a model of a library at a place; see `place_mesh`."""
    return place_mesh(
        torch.from_numpy(model.corners), torch.from_numpy(model.colour),
        torch.from_numpy(model.part), torch.from_numpy(model.clusters),
        rotation, position, materials,
    )  # fmt: skip


def place_mesh(
    corners: torch.Tensor,
    colour: torch.Tensor,
    part: torch.Tensor,
    clusters: torch.Tensor,
    rotation: torch.Tensor,
    position: torch.Tensor,
    materials: Sequence[Material],
) -> PlacedMesh:
    """Return a mesh at its place.

    A texture is laid on a triangle along that axis of the mesh which its normal is nearest to.

    Args:
        corners: (T, 3, 3), metres, in the mesh's own frame.
        colour: (T, 3), sRGB in [0, 1].
        part: (T,) int64, number of the material.
        clusters: (C,) int64, how many triangles in turn make a run.
        rotation, position: (3, 3) and (3,), from the mesh's frame to the map.
        materials: part p has material p modulo their number. Its tint multiplies the colour.
    """
    edges = corners[:, 1:] - corners[:, :1]
    normal = torch.nn.functional.normalize(torch.linalg.cross(edges[:, 0], edges[:, 1]), dim=-1)
    # Where a triangle has no area it is never hit.
    normal = torch.where(normal.norm(dim=-1, keepdim=True) > 0.5, normal, torch.eye(3)[2])
    run = torch.arange(len(clusters)).repeat_interleave(clusters)
    index = run[:, None].repeat_interleave(3, 0).expand(-1, 3)
    points = corners.reshape(-1, 3)
    box = torch.zeros(len(clusters), 3)
    low = box.scatter_reduce(0, index, points, "amin", include_self=False)
    high = box.scatter_reduce(0, index, points, "amax", include_self=False)

    looks = torch.tensor(
        [(*m.tint, m.specular, m.emission, m.texture, m.repeat_m, *m.offset) for m in materials]
    )[part % len(materials)]
    axis = normal.abs().argmax(-1)
    columns = rotation.t()
    repeat = looks[:, 6:7].clamp_min(1e-3)
    # v grows downwards, as on boxes.
    u_axis = columns[torch.tensor([1, 0, 0])[axis]] / repeat
    v_axis = -columns[torch.tensor([2, 2, 1])[axis]] / repeat
    u_shift = looks[:, 7:8] - (u_axis * position).sum(-1, keepdim=True)
    v_shift = looks[:, 8:9] - (v_axis * position).sum(-1, keepdim=True)
    return PlacedMesh(
        corners=_turned(points, rotation).reshape(-1, 3, 3) + position,
        count=clusters,
        centre=_turned((low + high) / 2, rotation) + position,
        half=(high - low) / 2 + _MARGIN_M,
        rotation=rotation,
        normal=_turned(normal, rotation),
        u_axis=torch.cat([u_axis, u_shift], dim=-1),
        v_axis=torch.cat([v_axis, v_shift], dim=-1),
        tint=(colour * looks[:, :3]).clamp(0.0, 1.0).square(),
        finish=torch.cat([looks[:, 3:6], repeat.reciprocal()], dim=-1),
    )


def joined(placed: Sequence[PlacedMesh], kind: torch.Tensor, textures: torch.Tensor) -> Meshes:
    """Return the triangles of a scene.

    Args:
        placed: meshes in the order of the primitives of kind MESH, one for each run.
        kind: (P,) of the scene.
        textures: (layers, S, S, 3), linear. Tints are divided by their means.
    """
    count = torch.zeros_like(kind)
    count[kind == MESH] = torch.cat([mesh.count for mesh in placed])
    normal, u_axis, v_axis, tint, finish = (
        torch.cat([getattr(mesh, name) for mesh in placed])
        for name in ("normal", "u_axis", "v_axis", "tint", "finish")
    )
    mean = textures.mean(dim=(1, 2)).clamp_min(_LEAST_MEAN)
    return Meshes(
        first=count.cumsum(0) - count,
        count=count,
        corners=torch.cat([mesh.corners for mesh in placed]),
        surfaces=Surfaces(normal, u_axis, v_axis, tint / mean[finish[:, 2].long()], finish),
    )


def _turned(points: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    return (points.unsqueeze(-2) * rotation).sum(-1)
