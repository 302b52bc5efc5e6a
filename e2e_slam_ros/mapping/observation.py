"""One keyframe's depth as a set of measured surfels, one a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.geometry.normals import normals_from_points, smoothed_depth
from e2e_slam_ros.geometry.projection import pixel_rays

# Window for normals, pixels. On the tuning frames 5 saves an eighth of the surfels of 1 for 0.4
# points of completeness, and a standing camera with 4 mm of noise adds none (bench/map_bounds.py).
_SMOOTHING = 5
# A surface seen at a grazing angle would get an endless radius; Keller et al. stop at 75 degrees.
_MIN_COS_INCIDENCE = 0.26


@dataclass(frozen=True, eq=False)
class Observation:
    """The surfels that one keyframe measures, H*W pixels in row order, map frame.

    Points, normals and colours lie in memory as three rows of HW numbers, which a CPU reads
    several times faster than HW triples: their ``T`` is contiguous.

    >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
    >>> wall, image = torch.full((1, 1, 6, 8), 2.0), torch.ones(1, 3, 6, 8)
    >>> seen = observe(wall, image, camera, torch.eye(4), MapConfig())
    >>> int(seen.valid.sum()), bool((seen.normals[seen.valid][:, 2] < -0.99).all())
    (24, True)

    Attributes:
        valid: (HW,) bool; the other arrays are undefined where it is false.
        depth: (HW,) z in the camera, metres.
        points: (HW, 3) metres.
        normals: (HW, 3) unit, towards the camera.
        colors: (HW, 3) in [0, 1].
        confidence: (HW,) weight of the pixel.
        radius: (HW,) metres.
    """

    valid: torch.Tensor
    depth: torch.Tensor
    points: torch.Tensor
    normals: torch.Tensor
    colors: torch.Tensor
    confidence: torch.Tensor
    radius: torch.Tensor


def observe(
    depth: torch.Tensor,
    image: torch.Tensor,
    camera: PinholeCamera,
    T_map_camera: torch.Tensor,
    config: MapConfig,
    confidence: torch.Tensor | None = None,
    intrinsics: torch.Tensor | None = None,
) -> Observation:
    """Turn a depth map into measured surfels (Keller et al. 2013, section 3).

    Args:
        depth: (1, 1, H, W) metres, 0 = invalid.
        image: (1, 3, H, W) in [0, 1].
        camera: intrinsics of both, without distortion.
        T_map_camera: (4, 4).
        config: radial weight and edge rejection.
        confidence: (1, 1, H, W) in [0, 1] multiplied into the radial weight; or None.
        intrinsics: (3, 3) in place of the camera's, where a gradient to them is wanted.

    The result is differentiable in depth, image, pose, confidence and intrinsics.
    """
    height, width = depth.shape[-2:]
    if intrinsics is None:
        intrinsics = camera.matrix(depth.device, depth.dtype)
    rays = pixel_rays(height, width, intrinsics.to(depth.device), depth.dtype)
    there = known(depth)
    depth = torch.where(there, depth, 0.0)
    points = depth * rays
    smoothed = smoothed_depth(depth, there, _SMOOTHING) * rays
    normals, smooth = normals_from_points(smoothed, there, finite=True)
    valid = there & smooth & ~_is_edge(depth, config.edge_ratio)
    weight = radial_weight(height, width, camera, config.radial_sigma, depth)
    if confidence is not None:
        weight = weight * confidence.reshape(-1)
    rotation = T_map_camera[:3, :3].to(depth.dtype)
    translation = T_map_camera[:3, 3].to(depth.dtype)
    flat_normals = normals.reshape(3, -1)
    flat_depth = depth.reshape(-1)
    incidence = flat_normals[2].abs().clamp_min(_MIN_COS_INCIDENCE)
    focal = 0.5 * (intrinsics[0, 0] + intrinsics[1, 1])
    return Observation(
        valid=valid.reshape(-1) & (weight > 0),
        depth=flat_depth,
        points=(rotation @ points.reshape(3, -1) + translation[:, None]).T,
        normals=(rotation @ flat_normals).T,
        colors=image.reshape(3, -1).T,
        confidence=weight,
        radius=flat_depth / focal / math.sqrt(2.0) / incidence,
    )


def radial_weight(
    height: int, width: int, camera: PinholeCamera, sigma: float, like: torch.Tensor
) -> torch.Tensor:
    """Return Keller's confidence exp(-g^2 / 2 sigma^2), (HW,); g is 0 at the principal point.

    g is the distance to it over the distance of the farthest image corner, so that the weight
    does not depend on resolution or depth (the published code measured g in metres).
    """
    u, v = (torch.arange(n, device=like.device, dtype=like.dtype) for n in (width, height))
    distance = torch.hypot(u - camera.cx, v[:, None] - camera.cy).reshape(-1)
    corner = math.hypot(
        max(camera.cx, width - 1 - camera.cx), max(camera.cy, height - 1 - camera.cy)
    )
    return torch.exp(-((distance / max(corner, 1.0)) ** 2) / (2.0 * sigma**2))


def _is_edge(depth: torch.Tensor, ratio: float) -> torch.Tensor:
    """Return (1, 1, H, W) bool: a 4-neighbour's depth differs by more than ``ratio``.

    Sensors and networks interpolate across depth edges; such points float in the air.
    """
    height, width = depth.shape[-2:]
    padded = functional.pad(depth.detach(), (1, 1, 1, 1), mode="replicate")
    there = padded.clone().gt_(0.0)
    centre = padded[..., 1:-1, 1:-1]
    largest = torch.zeros_like(centre)
    for row, column in ((1, 0), (1, 2), (0, 1), (2, 1)):
        part = (..., slice(row, row + height), slice(column, column + width))
        step = (padded[part] - centre).abs_().mul_(there[part])
        torch.maximum(largest, step, out=largest)
    return largest > ratio * centre
