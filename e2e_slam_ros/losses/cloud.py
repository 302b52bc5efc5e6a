"""Point clouds for the Chamfer distance: the points of a view, and the map points it can see."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import backproject, project
from e2e_slam_ros.geometry.se3 import inverse, transform_points
from e2e_slam_ros.geometry.splat import nearest_depth

# Side of the image cells of the occlusion test between map points, in pixels.
_CELL = 3


def local_cloud(
    depth: torch.Tensor,
    camera: PinholeCamera,
    T_map_camera: torch.Tensor,
    max_points: int | None = None,
) -> torch.Tensor:
    """Return the points of a view in the map frame, (N, 3) metres; gradients flow to ``depth``.

    Args:
        depth: (1, 1, H, W), z in metres. Pixels that are not finite or <= 0 are left out.
        camera: intrinsics of ``depth``, without distortion.
        T_map_camera: (4, 4), camera to map.
        max_points: the largest number of points, spaced evenly over the valid pixels. None takes
            all valid pixels.

    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> local_cloud(torch.full((1, 1, 3, 4), 2.0), camera, torch.eye(4)).shape
    torch.Size([12, 3])
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
    """Return which map points a camera can see, (N,) bool.

    A visible point lies in front of the camera, inside the image, and is not occluded. A point is
    occluded when it is farther than the nearest surface in its direction by more than ``margin``.
    By default the nearest surface comes from the map points themselves.

    Do not pass a ``depth`` that is still to be corrected. Where such a depth is too small, it
    hides the map points that would correct it.

    Args:
        points_map: (N, 3) metres, map frame.
        camera: intrinsics of the view, without distortion.
        T_map_camera: (4, 4), camera to map.
        margin: tolerance as a share of the depth; 0.1 is 10 %. Infinity switches the occlusion
            test off, so that only the field of view counts.
        depth: (1, 1, H, W) metres of the visible surface, used instead of the map's own. 0 means
            unknown and hides nothing.

    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> points = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [0.0, 0.0, -1.0]])
    >>> in_view(points, camera, torch.eye(4))  # seen, hidden by the first, behind the camera
    tensor([ True, False, False])
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
            cells = across * -(-camera.height // _CELL)
            surface = nearest_depth(cell, torch.where(inside, z, torch.inf), cells)[cell]
        return inside & (z <= surface * (1 + margin))
