"""Appearance at the hit points: position, normal, texture coordinates, finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.simulation.raycast import ViewTable
from e2e_slam_ros.simulation.scene import BALL, CYLINDER, FACES, Scene, Surfaces


@dataclass(frozen=True, eq=False)
class SurfaceTable:
    """Faces of all primitives of a batch of scenes as columns, for fast gathering.

    Attributes:
        faces: (18, P * 6 + T) float32: normal 3, u_axis 4, v_axis 4, tint 3, finish 4; first the
            primitives' faces, then the triangles.
        kind, half, rotation: (P,), (P, 3), (P, 3, 3) of the concatenated scenes.

    >>> kind = torch.zeros(1, dtype=torch.int64)
    >>> SurfaceTable(torch.zeros(18, 6), kind, torch.ones(1, 3), torch.eye(3)[None]).half
    tensor([[1., 1., 1.]])
    """

    faces: torch.Tensor
    kind: torch.Tensor
    half: torch.Tensor
    rotation: torch.Tensor


@dataclass(frozen=True, eq=False)
class HitSurface:
    """Appearance of N hit points; map frame.

    Attributes:
        point, normal: (3, N), metres and unit length.
        u, v: (N,), texture coordinates in repeats.
        tint: (3, N), linear.
        specular, emission: (N,).
        layer: (N,) int64, texture layer within the point's scene.
        repeats_per_m: (N,), texture repeats per metre of surface.

    >>> xyz, one, layer = torch.ones(3, 1), torch.ones(1), torch.zeros(1, dtype=torch.int64)
    >>> HitSurface(xyz, xyz, one, one, xyz, one, one, layer, one).layer
    tensor([0])
    """

    point: torch.Tensor
    normal: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    tint: torch.Tensor
    specular: torch.Tensor
    emission: torch.Tensor
    layer: torch.Tensor
    repeats_per_m: torch.Tensor


def surface_table(scenes: Sequence[Scene]) -> SurfaceTable:
    """Return the faces of all scenes, in the order of the `ViewTable`'s primitives."""
    rows = [_face_rows(scene.surfaces).flatten(0, 1) for scene in scenes]
    rows += [_face_rows(scene.meshes.surfaces) for scene in scenes if scene.meshes is not None]
    return SurfaceTable(
        faces=torch.cat(rows).t().contiguous(),
        kind=torch.cat([scene.kind for scene in scenes]),
        half=torch.cat([scene.half for scene in scenes]),
        rotation=torch.cat([scene.rotation for scene in scenes]),
    )


def look_up(
    surfaces: SurfaceTable,
    table: ViewTable,
    row: torch.Tensor,
    direction: torch.Tensor,
    depth: torch.Tensor,
    point: torch.Tensor,
    triangle: torch.Tensor | None = None,
) -> HitSurface:
    """Return the surface at N hit points.

    Args:
        row: (N,) int64, hit row of ``table``.
        direction: (2, N), normalised image coordinates of the pixels.
        depth: (N,), z in metres.
        point: (3, N), hit points in the map frame.
        triangle: (N,) int64, hit triangle of the scenes, -1 for none; None for no triangles.
            Normals of triangles are those of their front.
    """
    frame = torch.cat([table.origin, table.matrix.flatten(1)], dim=1).t().contiguous()
    f = frame.index_select(1, row)
    x, y = direction
    local = [f[i] + depth * (f[3 + 3 * i] * x + f[4 + 3 * i] * y + f[5 + 3 * i]) for i in range(3)]
    kind = table.kind[row]
    round_shape = (kind == CYLINDER) | (kind == BALL)
    face = _box_face(local)
    # On a unit cylinder the larger of |z| and the distance from the axis is 1.
    radial = local[0] * local[0] + local[1] * local[1]
    mantle = round_shape & ((radial >= local[2] * local[2]) | (kind == BALL))
    face = torch.where(round_shape, (local[2] > 0).long() + 4, face).masked_fill_(mantle, 0)
    primitive = table.primitive[row]
    column = primitive * FACES + face
    if triangle is not None:
        first = len(surfaces.kind) * FACES
        column = torch.where(triangle >= 0, first + triangle, column)
    g = surfaces.faces.index_select(1, column)
    u = point[0] * g[3] + point[1] * g[4] + point[2] * g[5] + g[6]
    v = point[0] * g[7] + point[1] * g[8] + point[2] * g[9] + g[10]
    normal = g[:3]
    curved = mantle.nonzero().squeeze(1)
    if len(curved):
        picked = torch.stack([part[curved] for part in local])
        arc, up, outward = _curved(surfaces, primitive[curved], picked)
        normal[:, curved] = outward
        u[curved] = arc * g[3, curved] + g[6, curved]
        v[curved] = up * g[7, curved] + g[10, curved]
    return HitSurface(point, normal, u, v, g[11:14], g[14], g[15], g[16].round().long(), g[17])


def _face_rows(s: Surfaces) -> torch.Tensor:
    return torch.cat([s.normal, s.u_axis, s.v_axis, s.tint, s.finish], dim=-1)


def _box_face(local: list[torch.Tensor]) -> torch.Tensor:
    """Return the face of the unit cube on which each point lies.

    The largest coordinate gives the axis of the face.
    """
    ax, ay, az = (part.abs() for part in local)
    on_x = (ax >= ay) & (ax >= az)
    face = torch.where(ay >= az, 2 + (local[1] > 0).long(), 4 + (local[2] > 0).long())
    return torch.where(on_x, (local[0] > 0).long(), face)


def _curved(
    surfaces: SurfaceTable, primitive: torch.Tensor, local: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return arc length, height along the surface (metres) and unit normal (3, M)."""
    half = surfaces.half[primitive].t()
    ball = surfaces.kind[primitive] == BALL
    arc = torch.atan2(local[1], local[0]) * half[0]
    up = torch.where(ball, torch.asin(local[2].clamp(-1, 1)), local[2]) * half[2]
    gradient = local / half
    gradient[2] = gradient[2].masked_fill(~ball, 0.0)
    rotation = surfaces.rotation[primitive]
    # No matrix product here, because it may run in reduced precision on a GPU.
    outward = (rotation * gradient.t().unsqueeze(1)).sum(-1).t()
    return arc, up, outward / outward.norm(dim=0, keepdim=True)
