"""Which surfel a pixel has seen: projective association through an index map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.observation import Observation
from e2e_slam_ros.mapping.surfel_store import Surfels

# Two pixel grids at the same scale are at most 0.71 pixel apart at the nearest point, so this
# reach lets a surface seen twice at one scale merge everywhere and finer views still add detail.
_REACH_PIXELS = 0.75
# Near plane: closer surfels are behind or inside the lens.
_NEAR_M = 0.02
_NOTHING = torch.iinfo(torch.int64).max


@dataclass(frozen=True, eq=False)
class Projection:
    """The surfels that fall into an image; V of them.

    Attributes:
        index: (V,) int64, which surfel.
        pixel: (V,) int64, its pixel in row order.
        depth: (V,) z in the camera, metres.
    """

    index: torch.Tensor
    pixel: torch.Tensor
    depth: torch.Tensor


def project_surfels(
    positions: torch.Tensor, camera: PinholeCamera, T_map_camera: torch.Tensor
) -> Projection:
    """Project (N, 3) map points into the camera and keep those inside the image."""
    dtype = positions.dtype
    rotation = T_map_camera[:3, :3].to(dtype)
    local = (positions - T_map_camera[:3, 3].to(dtype)) @ rotation
    z = local[:, 2]
    safe = z.clamp_min(_NEAR_M)
    u = torch.round(local[:, 0] / safe * camera.fx + camera.cx)
    v = torch.round(local[:, 1] / safe * camera.fy + camera.cy)
    inside = (z > _NEAR_M) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    index = torch.nonzero(inside).squeeze(1)
    pixel = v[index].long() * camera.width + u[index].long()
    return Projection(index=index, pixel=pixel, depth=z[index])


def index_map(
    projection: Projection, surfels: Surfels, camera: PinholeCamera, bin_m: float
) -> torch.Tensor:
    """Return (HW,) int64: the surfel that a pixel shows, -1 where there is none.

    The nearest surface wins; within one surface (one depth bin of ``bin_m``) the most
    confident surfel, then the oldest. The order is total, so the result does not depend on
    the order of execution.
    """
    layer = (projection.depth / bin_m).long().clamp(0, 2**15 - 1)
    confidence = surfels.confidence[projection.index]
    doubt = (2**14 - 1) - (confidence * 32).long().clamp(0, 2**14 - 1)
    key = (layer << 46) | (doubt << 32) | projection.index
    cells = torch.full(
        (camera.height * camera.width,), _NOTHING, dtype=torch.int64, device=key.device
    )
    cells.scatter_reduce_(0, projection.pixel, key, reduce="amin")
    return torch.where(cells == _NOTHING, -1, cells & 0xFFFFFFFF)


def associate(
    cells: torch.Tensor,
    surfels: Surfels,
    observation: Observation,
    camera: PinholeCamera,
    config: MapConfig,
) -> torch.Tensor:
    """Return (HW,) int64: the surfel each pixel merges with, -1 for none.

    A pixel looks at the surfels in its 3x3 neighbourhood of the index map and takes the
    nearest one that lies within ``distance_m`` along the viewing ray (growing with depth as
    sensors' and networks' noise does beyond 2 m), within ``angle_deg`` of its normal, and
    within its own footprint across the ray (Keller et al. 2013, section 4.1).
    """
    matches = torch.full_like(cells, -1)
    if len(surfels) == 0:
        return matches
    pixels = torch.nonzero(observation.valid).squeeze(1)
    points, normals = observation.points[pixels], observation.normals[pixels]
    depth = observation.depth[pixels]
    along_limit = config.distance_m * (depth / 2.0).clamp_min(1.0)
    across_limit = _REACH_PIXELS * depth * (2.0 / (camera.fx + camera.fy))
    # Along a slanted surface the footprint is longer than across the ray.
    reach = torch.maximum(
        across_limit, _REACH_PIXELS * math.sqrt(2.0) * observation.radius[pixels]
    )
    min_cos = math.cos(math.radians(config.angle_deg))
    best = torch.full_like(depth, torch.inf)
    chosen = torch.full_like(pixels, -1)
    padded = torch.nn.functional.pad(
        cells.reshape(1, camera.height, camera.width), (1, 1, 1, 1), value=-1
    )[0]
    row, column = pixels // camera.width, pixels % camera.width
    for dy in range(3):
        for dx in range(3):
            candidate = padded[row + dy, column + dx]
            there = candidate.clamp_min(0)
            offset = surfels.positions[there] - points
            along = (offset * normals).sum(1).abs()
            across = (offset.square().sum(1) - along.square()).clamp_min(0.0).sqrt()
            facing = (surfels.normals[there] * normals).sum(1)
            fits = (candidate >= 0) & (along < along_limit) & (across < reach) & (facing > min_cos)
            closer = fits & (across < best)
            best = torch.where(closer, across, best)
            chosen = torch.where(closer, candidate, chosen)
    matches[pixels] = chosen
    return matches


def seen_through(
    projection: Projection, surfels: Surfels, observation: Observation, config: MapConfig
) -> torch.Tensor:
    """Return (N,) bool: unstable surfels in space that the new depth shows to be empty.

    A surfel is seen through when its pixel measures a surface at least three association
    distances behind it; confident surfels stay (Keller et al. 2013, section 4.3).
    """
    measured = observation.depth[projection.pixel]
    margin = 3.0 * config.distance_m * (projection.depth / 2.0).clamp_min(1.0)
    empty = observation.valid[projection.pixel] & (projection.depth + margin < measured)
    unstable = surfels.confidence[projection.index] < config.stable_confidence
    removed = torch.zeros(len(surfels), dtype=torch.bool, device=measured.device)
    removed[projection.index] = empty & unstable
    return removed
