"""A room as tensors: solid primitives, the appearance of their faces, and lamps."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch

# Kinds of primitive. Each is the image of a unit shape under scale, rotation and translation:
# the cube [-1, 1]^3, the cylinder x^2 + y^2 <= 1, |z| <= 1, the ball.
HULL = 0  # a cube seen from inside: the room itself, always primitive 0
BOX = 1
CYLINDER = 2
BALL = 3
MESH = 4  # a box around a run of the scene's triangles

# Faces of a box: 2 * axis + (1 on the positive side). A cylinder has face 0 (mantle) and the caps
# 4 and 5, a ball has face 0.
FACES = 6

Part = TypeVar("Part", "Scene", "Surfaces", "Lamps", "Meshes")


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Appearance of the faces of P primitives. Every tensor is (P, 6, ...), float32.

    Attributes:
        normal: (P, 6, 3), unit length, map frame, towards free space; unused on curved faces.
        u_axis, v_axis: (P, 6, 4). On a flat face, the texture coordinate in repeats is
            xyz . point + w, with the point in the map frame. On a curved face it is xyz[0] times
            the arc length (u) or the height (v) in metres, plus w.
        tint: (P, 6, 3), linear colour that multiplies the texture.
        finish: (P, 6, 4): specular strength, emission, texture layer, repeats per metre.

    >>> ones = torch.ones(1, 6, 4)
    >>> Surfaces(ones[..., :3], ones, ones, ones[..., :3], ones).tint.shape
    torch.Size([1, 6, 3])
    """

    normal: torch.Tensor
    u_axis: torch.Tensor
    v_axis: torch.Tensor
    tint: torch.Tensor
    finish: torch.Tensor


@dataclass(frozen=True, eq=False)
class Lamps:
    """L point lights and the ambient light.

    Attributes:
        position: (L, 3), metres, map frame.
        color: (L, 3), linear; irradiance at one metre.
        ambient: (2, 3), linear: on faces that look down, on faces that look up.
        shadow: (L, 6, S, S) depth cube maps in metres from `shadow.bake_shadows`, or None.

    >>> lamps = Lamps(torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 3), torch.ones(2, 3))
    >>> lamps.shadow is None
    True
    """

    position: torch.Tensor
    color: torch.Tensor
    ambient: torch.Tensor
    shadow: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Meshes:
    """T triangles of a scene with P primitives. Each primitive of kind MESH holds a run of them.

    Attributes:
        first, count: (P,) int64, run of each primitive; count is 0 for other kinds.
        corners: (T, 3, 3) float32, metres, map frame. Triangles have two sides.
        surfaces: appearance of the triangles; every tensor is (T, ...), as of a flat face.

    >>> one, ones = torch.ones(1, dtype=torch.int64), torch.ones(1, 4)
    >>> look = Surfaces(ones[:, :3], ones, ones, ones[:, :3], ones)
    >>> Meshes(0 * one, one, torch.eye(3)[None], look).corners.shape
    torch.Size([1, 3, 3])
    """

    first: torch.Tensor
    count: torch.Tensor
    corners: torch.Tensor
    surfaces: Surfaces


@dataclass(frozen=True, eq=False)
class Scene:
    """A closed room. Map frame: z up, origin on the floor below the room's centre, metres.

    Attributes:
        kind: (P,) int64, one of HULL, BOX, CYLINDER, BALL, MESH; kind[0] is HULL and no other.
        centre: (P, 3) float32.
        half: (P, 3) float32, half sizes along the primitive's own axes (radii).
        rotation: (P, 3, 3) float32, columns are the primitive's axes in the map frame.
        surfaces: appearance of the faces.
        textures: (layers, S, S, 3) float32, linear, periodic, S a power of two.
        lamps: the light.
        exposure: () float32, the factor from radiance to the camera's response.
        meshes: triangles of the primitives of kind MESH, or None.

    >>> from e2e_slam_ros.simulation.builder import Material, SceneBuilder
    >>> build = SceneBuilder()
    >>> build.hull((4.0, 3.0, 2.5), (Material(texture=0),) * 6)
    >>> lamps = Lamps(torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 3), torch.ones(2, 3))
    >>> build.build(torch.ones(1, 8, 8, 3), lamps).half
    tensor([[2.0000, 1.5000, 1.2500]])
    """

    kind: torch.Tensor
    centre: torch.Tensor
    half: torch.Tensor
    rotation: torch.Tensor
    surfaces: Surfaces
    textures: torch.Tensor
    lamps: Lamps
    exposure: torch.Tensor
    meshes: Meshes | None = None

    def __len__(self) -> int:
        return int(self.kind.shape[0])

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.kind.device

    def to(self, device: torch.device | str) -> Scene:
        """Return the scene with all tensors on ``device``."""
        return _moved(self, device)


def _moved(part: Part, device: torch.device | str) -> Part:
    """Return a dataclass of tensors, and of such dataclasses, on another device."""
    changes: dict[str, Any] = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if isinstance(value, torch.Tensor):
            changes[item.name] = value.to(device)
        elif value is not None:
            changes[item.name] = _moved(value, device)
    return replace(part, **changes)
