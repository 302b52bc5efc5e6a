"""The clouds of the Chamfer distance: a view's own points, and what of the map it can see."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import backproject, project
from e2e_slam_ros.geometry.se3 import inverse, transform_points

# Side of the cells in which the map's points hide one another, pixels.
_CELL = 3


def local_cloud(
    depth: torch.Tensor,
    camera: PinholeCamera,
    T_map_camera: torch.Tensor,
    max_points: int | None = None,
) -> torch.Tensor:
    """Return a view's points in the map frame, (N, 3) metres; gradients flow to ``depth``.

    This is the one place where a view's points move into the map frame.

    Args:
        depth: (1, 1, H, W), z in metres; not finite or <= 0 is left out.
        camera: intrinsics of ``depth``, without distortion.
        T_map_camera: (4, 4), camera to map.
        max_points: at most so many, evenly spaced over the valid pixels; None takes all.
    """
    flat = depth.flatten()
    kept = torch.nonzero(torch.isfinite(flat) & (flat > 0)).squeeze(1)
    if max_points is not None and kept.numel() > max_points:
        steps = torch.arange(max_points, device=kept.device)
        kept = kept[steps * kept.numel() // max_points]
    points = backproject(depth, camera.matrix(depth.device, depth.dtype))
    chosen = points.flatten(2)[0].index_select(1, kept).T
    return transform_points(T_map_camera.to(depth), chosen)


def in_view(
    points_map: torch.Tensor,
    camera: PinholeCamera,
    T_map_camera: torch.Tensor,
    margin: float = 0.1,
    depth: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return (N,) bool: which points of the map a camera could see.

    In front of the camera, inside the image, and not hidden: not farther than the nearest
    surface in its direction by more than ``margin``. That surface is the map's own unless
    ``depth`` is given. A depth that is still to be corrected must not be given: where it is too
    small it would hide the very points that could correct it.

    Args:
        points_map: (N, 3) metres, map frame.
        camera: intrinsics of the view, without distortion.
        T_map_camera: (4, 4), camera to map.
        margin: share of the depth, 0.1 is 10 %; infinity asks for the field of view only.
        depth: (1, 1, H, W) metres of the visible surface, 0 = unknown (hides nothing).
    """
    with torch.no_grad():
        seen = transform_points(inverse(T_map_camera).to(points_map), points_map)
        uv, z = project(seen.T.unsqueeze(0), camera.matrix(points_map.device, points_map.dtype))
        u, v, z = uv[0, 0], uv[0, 1], z[0, 0]
        inside = (u > -0.5) & (u < camera.width - 0.5) & (v > -0.5) & (v < camera.height - 0.5)
        inside &= (z > 0) & torch.isfinite(z)
        column = torch.where(inside, u.round(), torch.zeros_like(u)).long()
        row = torch.where(inside, v.round(), torch.zeros_like(v)).long()
        if depth is not None:
            surface = depth[0, 0, row, column].to(z)
            surface = torch.where(surface > 0, surface, torch.inf)
        else:
            across = -(-camera.width // _CELL)
            cell = row // _CELL * across + column // _CELL
            nearest = z.new_full((across * -(-camera.height // _CELL),), torch.inf)
            nearest.scatter_reduce_(0, cell, torch.where(inside, z, torch.inf), "amin")
            surface = nearest[cell]
        return inside & (z <= surface * (1 + margin))
