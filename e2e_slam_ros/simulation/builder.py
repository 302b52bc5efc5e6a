"""Builds a `Scene` from primitives that are given as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from e2e_slam_ros.simulation.furniture_library import FurnitureModel
from e2e_slam_ros.simulation.placed_mesh import PlacedMesh, joined, place_model
from e2e_slam_ros.simulation.scene import (
    BALL,
    BOX,
    CYLINDER,
    FACES,
    HULL,
    MESH,
    Lamps,
    Scene,
    Surfaces,
)

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """Appearance of a face.

    Attributes:
        texture: layer of the scene's texture stack.
        tint: sRGB colour in [0, 1] that multiplies the texture.
        repeat_m: metres that one copy of the texture covers. 0 stretches one copy over the face.
        specular: strength of the highlight, 0 for matt.
        emission: light that the face emits, in units of a white wall in room light.
        offset: texture coordinates of the face's centre, in repeats.

    >>> Material(texture=0, repeat_m=0.5).tint
    (1.0, 1.0, 1.0)
    """

    texture: int
    tint: Vector = (1.0, 1.0, 1.0)
    repeat_m: float = 1.0
    specular: float = 0.0
    emission: float = 0.0
    offset: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class Place:
    """Position and yaw of a piece of furniture in the map frame, in metres and radians.

    >>> table = Place(x=1.0, y=2.0)
    >>> table.child((0.0, 0.3, 0.75))  # a thing on the table top
    Place(x=1.0, y=2.3, z=0.75, yaw=0.0)
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0

    def move(self, local: Vector) -> Vector:
        """Return a point of the piece in the map frame, metres."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return (
            self.x + c * local[0] - s * local[1],
            self.y + s * local[0] + c * local[1],
            self.z + local[2],
        )

    def child(self, local: Vector, yaw: float = 0.0) -> Place:
        """Return the place of an object that stands on this piece."""
        x, y, z = self.move(local)
        return Place(x, y, z, self.yaw + yaw)


Faces: TypeAlias = tuple[Material, ...]
# Kind, centre, size, rotation and the material of each face.
_Primitive: TypeAlias = tuple[int, Vector, Vector, torch.Tensor, Faces]


@dataclass
class SceneBuilder:
    """Collects primitives, each given in the frame of a `Place`. `build` returns the scene.

    >>> build = SceneBuilder()
    >>> build.hull((4.0, 3.0, 2.5), (Material(texture=0),) * FACES)
    >>> build.box(Place(x=1.0), (0.0, 0.0, 0.5), (1.0, 1.0, 1.0), Material(texture=0))
    >>> lamps = Lamps(torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 3), torch.ones(2, 3))
    >>> scene = build.build(torch.ones(1, 8, 8, 3), lamps)
    >>> scene.kind.tolist() == [HULL, BOX]
    True
    """

    primitives: list[_Primitive] = field(default_factory=list)
    meshes: list[PlacedMesh] = field(default_factory=list)

    def hull(self, size: Vector, faces: Faces) -> None:
        """Add the room, a box of ``size`` on the floor. Call this method first.

        ``faces`` holds one material for each face.
        """
        self.primitives.append((HULL, (0.0, 0.0, size[2] / 2), size, torch.eye(3), faces))

    def box(
        self,
        place: Place,
        centre: Vector,
        size: Vector,
        material: Material,
        yaw: float = 0.0,
        faces: Mapping[int, Material] | None = None,
    ) -> None:
        """Add a box; ``faces`` replaces the material of single faces."""
        other = faces or {}
        materials = tuple(other.get(face, material) for face in range(FACES))
        rotation = _turn(place.yaw + yaw, "z")
        self.primitives.append((BOX, place.move(centre), size, rotation, materials))

    def cylinder(
        self,
        place: Place,
        centre: Vector,
        radius: float,
        length: float,
        material: Material,
        axis: str = "z",
        cap: Material | None = None,
    ) -> None:
        """Add a cylinder along the place's x, y or z axis."""
        materials = (material,) * 4 + (cap or material,) * 2
        rotation = _turn(place.yaw, axis)
        size = (2 * radius, 2 * radius, length)
        self.primitives.append((CYLINDER, place.move(centre), size, rotation, materials))

    def ball(self, place: Place, centre: Vector, size: Vector, material: Material) -> None:
        """Add an ellipsoid of the given diameters."""
        rotation = _turn(place.yaw, "z")
        self.primitives.append((BALL, place.move(centre), size, rotation, (material,) * FACES))

    def mesh(self, place: Place, model: FurnitureModel, materials: Sequence[Material]) -> None:
        """Add a model of a library that stands on the place; see `place_mesh` for materials."""
        rotation, position = _turn(place.yaw, "z"), torch.tensor((place.x, place.y, place.z))
        placed = place_model(model, rotation, position, materials)
        self.meshes.append(placed)
        size = 2.0 * placed.half
        for centre, extent in zip(placed.centre.tolist(), size.tolist(), strict=True):
            # The triangles have their own materials.
            faces = (materials[0],) * FACES
            self.primitives.append((MESH, tuple(centre), tuple(extent), rotation, faces))

    def build(self, textures: torch.Tensor, lamps: Lamps) -> Scene:
        """Return the scene on the CPU, exposure 1."""
        kinds, centres, sizes, rotations, materials = zip(*self.primitives, strict=True)
        half = torch.tensor(sizes, dtype=torch.float32) / 2
        centre = torch.tensor(centres, dtype=torch.float32)
        rotation = torch.stack(rotations)
        kind = torch.tensor(kinds)
        return Scene(
            kind=kind,
            centre=centre,
            half=half,
            rotation=rotation,
            surfaces=_surfaces(kind, centre, half, rotation, materials),
            textures=textures,
            lamps=lamps,
            exposure=torch.ones(()),
            meshes=joined(self.meshes, kind, textures) if self.meshes else None,
        )


def _turn(yaw: float, axis: str) -> torch.Tensor:
    """Return the rotation that takes the z axis to ``axis`` and then turns by ``yaw``."""
    c, s = math.cos(yaw), math.sin(yaw)
    turned = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    # A cyclic permutation of the axes is a rotation. A swap of two axes is not.
    order = {"z": [0, 1, 2], "x": [1, 2, 0], "y": [2, 0, 1]}[axis]
    return turned[:, order]


def _surfaces(
    kind: torch.Tensor,
    centre: torch.Tensor,
    half: torch.Tensor,
    rotation: torch.Tensor,
    materials: tuple[Faces, ...],
) -> Surfaces:
    count = len(materials)
    flat = [m for row in materials for m in row]
    tint = torch.tensor([m.tint for m in flat]).square().reshape(count, FACES, 3)
    offset = torch.tensor([m.offset for m in flat]).reshape(count, FACES, 2)
    repeat = torch.tensor([m.repeat_m for m in flat]).reshape(count, FACES, 1)

    # Axes of the texture on each face of a box: u, v of the faces -x, +x, -y, +y, -z, +z.
    columns = rotation.transpose(1, 2)
    u_index, v_index = [1, 1, 0, 0, 0, 0], [2, 2, 2, 2, 1, 1]
    extent = torch.stack([half[:, u_index], half[:, v_index]], dim=-1) * 2
    curved = torch.zeros(count, FACES, 1, dtype=torch.bool)
    round_kind = (kind == CYLINDER) | (kind == BALL)
    curved[:, :4, 0] = round_kind[:, None]
    around = 2 * math.pi * half[:, :1]
    height = torch.where((kind == BALL)[:, None], math.pi, 2.0) * half[:, 2:]
    mantle = torch.cat([around, height], dim=-1)[:, None].expand(-1, FACES, -1)
    scale = torch.where(repeat > 0, repeat, torch.where(curved, mantle, extent)).reciprocal()

    first = torch.tensor([1.0, 0.0, 0.0])
    u_direction = torch.where(curved, first, columns[:, u_index])
    # v grows downwards, so that pictures hang upright.
    v_direction = torch.where(curved, -first, -columns[:, v_index])
    u_axis, v_axis = u_direction * scale[..., :1], v_direction * scale[..., 1:]
    anchor = torch.where(curved, torch.zeros(3), centre[:, None].expand(-1, FACES, -1))
    u_shift = offset[..., :1] - (u_axis * anchor).sum(-1, keepdim=True)
    v_shift = offset[..., 1:] - (v_axis * anchor).sum(-1, keepdim=True)

    inward = torch.where(kind == HULL, -1.0, 1.0)[:, None, None]
    sign = torch.tensor([-1.0, 1.0]).repeat(3)[:, None]
    rest = [[m.specular, m.emission, float(m.texture)] for m in flat]
    finish = torch.tensor(rest).reshape(count, FACES, 3)
    density = (scale[..., :1] * scale[..., 1:]).sqrt()
    return Surfaces(
        normal=columns[:, [0, 0, 1, 1, 2, 2]] * sign * inward,
        u_axis=torch.cat([u_axis, u_shift], dim=-1),
        v_axis=torch.cat([v_axis, v_shift], dim=-1),
        tint=tint,
        finish=torch.cat([finish, density], dim=-1),
    )
