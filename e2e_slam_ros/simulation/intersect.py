"""Intersections of rays with convex unit shapes, in closed form."""

from __future__ import annotations

from collections.abc import Callable

import torch

from e2e_slam_ros.simulation.scene import BALL, BOX, CYLINDER, HULL, MESH

Interval = tuple[torch.Tensor, torch.Tensor]
Components = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

# Keeps 1 / d finite for rays parallel to a face. It is far below any other float32 direction.
_TINY = 1e-20


def cube_interval(origin: Components, direction: Components) -> Interval:
    """Return the ray parameters (enter, leave) inside [-1, 1]^3; enter > leave for a miss.

    Args:
        origin, direction: x, y and z parts in the shape's own frame, broadcastable.
    """
    enter, leave = _slab(origin[0], direction[0])
    for o, d in zip(origin[1:], direction[1:], strict=True):
        near, far = _slab(o, d)
        enter, leave = torch.maximum(enter, near), torch.minimum(leave, far)
    return enter, leave


def cylinder_interval(origin: Components, direction: Components) -> Interval:
    """Return the ray parameters inside x^2 + y^2 <= 1, |z| <= 1."""
    near, far = _round(origin[:2], direction[:2])
    enter, leave = _slab(origin[2], direction[2])
    return torch.maximum(enter, near), torch.minimum(leave, far)


def ball_interval(origin: Components, direction: Components) -> Interval:
    """Return the ray parameters inside x^2 + y^2 + z^2 <= 1."""
    return _round(origin, direction)


INTERVALS: dict[int, Callable[[Components, Components], Interval]] = {
    HULL: cube_interval,
    BOX: cube_interval,
    CYLINDER: cylinder_interval,
    BALL: ball_interval,
    MESH: cube_interval,  # the box around its triangles
}


def _slab(o: torch.Tensor, d: torch.Tensor) -> Interval:
    inverse = (d + _TINY).reciprocal()
    middle, reach = o * inverse, inverse.abs()
    return -middle - reach, reach - middle


def _round(origin: tuple[torch.Tensor, ...], direction: tuple[torch.Tensor, ...]) -> Interval:
    """Return the interval of |o + t d| <= 1 over the given components (2: tube, 3: ball).

    The ray's origin first moves to the point nearest the axis, o + t0 d with t0 = -b/a. The
    solution is then t = t0 +- sqrt((1 - |o + t0 d|^2)/a). The textbook form b^2 - a c would lose
    precision in float32 for small shapes far away.
    """
    a = sum((d * d for d in direction[1:]), direction[0] * direction[0]) + _TINY
    b = sum(
        (o * d for o, d in zip(origin[1:], direction[1:], strict=True)), origin[0] * direction[0]
    )
    closest = -b / a
    miss = torch.zeros_like(a)
    for o, d in zip(origin, direction, strict=True):
        nearest = o + closest * d
        miss = miss + nearest * nearest
    # A negative value under the root is a miss. The interval becomes empty instead of NaN.
    inside = 1.0 - miss
    reach = (inside.clamp_min(0.0) / a).sqrt()
    reach = torch.where(inside > 0, reach, torch.full_like(reach, -1.0))
    return closest - reach, closest + reach
