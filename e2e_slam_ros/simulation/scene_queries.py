"""Queries of a scene at single points and rays: distance to the nearest surface, first hit.

The queries test all primitives, without tiles. Trajectory planning uses them, and tests compare
the tiled ray caster with them.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from e2e_slam_ros.simulation.intersect import INTERVALS
from e2e_slam_ros.simulation.scene import BALL, BOX, CYLINDER, HULL, MESH, Scene


def distance(scene: Scene, points: torch.Tensor) -> torch.Tensor:
    """Return the distance from points to the nearest surface; negative inside a solid.

    The distance is exact outside boxes and cylinders. For a ball it is exact, for any other
    ellipsoid it is a lower bound. A mesh counts as the boxes of its runs of triangles.

    Args:
        points: (N, 3), metres, map frame.

    Returns:
        (N,), metres.
    """
    points = points.to(scene.centre)
    away = points[:, None] - scene.centre
    local = torch.einsum("pij,npi->npj", scene.rotation, away)
    beyond = local.abs() - scene.half
    box = _outside(beyond)
    radial = torch.hypot(local[..., 0], local[..., 1]) - scene.half[:, 0]
    tube = _outside(torch.stack([radial, beyond[..., 2]], dim=-1))
    ball = ((local / scene.half).norm(dim=-1) - 1.0) * scene.half.amin(-1)
    room = -beyond.amax(-1)
    each = torch.where(scene.kind == HULL, room, box)
    each = torch.where(scene.kind == CYLINDER, tube, each)
    each = torch.where(scene.kind == BALL, ball, each)
    return each.amin(-1)


def between_heights(scene: Scene, low: float, high: float) -> Scene:
    """Return the room and the solids between two heights, for `distance` and `first_hit` alone.

    Solids that lie wholly below ``low`` or above ``high`` are left out, in metres.
    """
    reach = (scene.rotation[:, 2].abs() * scene.half).sum(-1)
    z = scene.centre[:, 2]
    kept = (scene.kind == HULL) | ((z + reach > low) & (z - reach < high))
    return replace(
        scene,
        kind=scene.kind[kept],
        centre=scene.centre[kept],
        half=scene.half[kept],
        rotation=scene.rotation[kept],
    )


def first_hit(
    scene: Scene, origins: torch.Tensor, directions: torch.Tensor, near: float = 0.02
) -> torch.Tensor:
    """Return the ray parameter of the first surface, (N,): metres for unit directions.

    A mesh counts as the boxes of its runs of triangles.

    Args:
        origins, directions: (N, 3), map frame.
        near: hits before this parameter are ignored.
    """
    inverse_half = scene.half.reciprocal()
    away = origins.to(scene.centre)[:, None] - scene.centre
    o = torch.einsum("pij,npi->npj", scene.rotation, away) * inverse_half
    d = torch.einsum("pij,ni->npj", scene.rotation, directions.to(scene.centre)) * inverse_half
    best = torch.full((len(origins),), torch.inf, device=scene.device)
    for kind in (HULL, BOX, CYLINDER, BALL, MESH):
        chosen = scene.kind == kind
        ox, oy, oz = o[:, chosen].unbind(-1)
        dx, dy, dz = d[:, chosen].unbind(-1)
        if ox.shape[1] == 0:
            continue
        enter, leave = INTERVALS[kind]((ox, oy, oz), (dx, dy, dz))
        if kind == HULL:
            best = torch.minimum(best, leave.amin(-1))
            continue
        hit = (enter <= leave) & (enter > near)
        best = torch.minimum(best, torch.where(hit, enter, torch.inf).amin(-1))
    return best


def _outside(beyond: torch.Tensor) -> torch.Tensor:
    """Return the signed distance to a product of intervals, from the overshoot along each axis."""
    return beyond.clamp_min(0.0).norm(dim=-1) + beyond.amax(-1).clamp_max(0.0)
