"""Which surfel a pixel has seen: projective association through an index map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.splat import winners
from e2e_slam_ros.mapping.observation import Observation

# Two pixel grids at the same scale are at most 0.71 pixel apart at the nearest point; the rest is
# for noise in pose and depth. Beyond one pixel detail is lost (bench/map_quality.py).
_REACH_PIXELS = 1.0
# Near plane: closer surfels are behind or inside the lens.
_NEAR_M = 0.02
# Stands in for a distance of exactly 0, which division by "does not fit" would turn into NaN.
_TINY = 1e-20


@dataclass(frozen=True, eq=False)
class Projection:
    """The V surfels that fall into an image.

    >>> camera = PinholeCamera(width=4, height=2, fx=4.0, fy=4.0, cx=1.0, cy=1.0)
    >>> points = torch.tensor([[0.0, 0.0, 2.0], [0.5, 0.0, 2.0], [0.0, 0.0, -2.0]])
    >>> seen = project_surfels(torch.arange(3), points, torch.ones(3), camera, torch.eye(4))
    >>> seen.slot, seen.pixel
    (tensor([0, 1]), tensor([5, 6]))

    Attributes:
        slot: (V,) int64, which surfel.
        pixel: (V,) int64, its pixel in row order.
        depth: (V,) z in the camera, metres.
        confidence: (V,) accumulated weight.
    """

    slot: torch.Tensor
    pixel: torch.Tensor
    depth: torch.Tensor
    confidence: torch.Tensor


@dataclass(frozen=True, eq=False)
class ShownSurfels:
    """The surfels that the HW cells of an index map show; undefined where a cell is empty.

    >>> shown = ShownSurfels(torch.zeros(8, 3), torch.zeros(8, 3), torch.ones(8))
    >>> shown.radius.shape
    torch.Size([8])

    Attributes:
        positions: (HW, 3) map frame, metres.
        normals: (HW, 3) unit.
        radius: (HW,) metres.
    """

    positions: torch.Tensor
    normals: torch.Tensor
    radius: torch.Tensor


def project_surfels(
    slots: torch.Tensor,
    positions: torch.Tensor,
    confidence: torch.Tensor,
    camera: PinholeCamera,
    T_map_camera: torch.Tensor,
) -> Projection:
    """Project surfels into the camera and keep the existing ones inside the image.

    Args:
        slots: (N,) int64 numbers of the surfels.
        positions: (N, 3) in the map frame.
        confidence: (N,), 0 where the slot is free.
        camera: the image.
        T_map_camera: (4, 4).
    """
    # Intrinsics and rotation in one matrix, points as rows, in place: half the time of the
    # textbook order on a CPU, and this is the one step that touches every surfel in view.
    to_pixels = camera.matrix(positions.device, torch.float64) @ T_map_camera[:3, :3].T.double()
    offset = positions - T_map_camera[:3, 3].to(positions.dtype)
    x, y, z = to_pixels.to(positions.dtype) @ offset.T
    inverse = z.reciprocal()
    u, v = (x * inverse).round_(), (y * inverse).round_()
    across, down = (camera.width - 1) / 2, (camera.height - 1) / 2
    inside = ((u - across).abs_() <= across) & ((v - down).abs_() <= down)
    inside &= (z > _NEAR_M) & (confidence > 0)
    index = torch.nonzero(inside).squeeze(1)
    row, column = v.index_select(0, index).long(), u.index_select(0, index).long()
    return Projection(
        slot=slots.index_select(0, index),
        pixel=row * camera.width + column,
        depth=z.index_select(0, index),
        confidence=confidence.index_select(0, index),
    )


def index_map(projection: Projection, camera: PinholeCamera, bin_m: float) -> torch.Tensor:
    """Return (HW,) int64: the surfel that a pixel shows, -1 where there is none.

    The nearest surface wins; within one surface (one depth bin of ``bin_m``) the most
    confident surfel, then the lowest slot. The order is total, so the result does not depend on
    the order of execution.
    """
    layer = (projection.depth / bin_m).long().clamp(0, 2**15 - 1)
    doubt = (2**14 - 1) - (projection.confidence * 32).long().clamp(0, 2**14 - 1)
    key = (layer << 46) | (doubt << 32) | projection.slot
    return winners(projection.pixel, key, camera.height * camera.width)


def associate(
    cells: torch.Tensor,
    shown: ShownSurfels,
    observation: Observation,
    camera: PinholeCamera,
    config: MapConfig,
) -> torch.Tensor:
    """Return (HW,) int64: the cell whose surfel each pixel merges with, -1 for none.

    A pixel looks at the surfels in the 3x3 cells around it and takes the nearest one that fits
    (Keller et al. 2013, section 4.1). A surfel fits when

    * it lies within ``distance_m`` along the pixel's normal (beyond 2 m the limit grows with
      depth, as the noise of sensors and networks does);
    * it lies within the pixel's own footprint across that normal;
    * the two normals differ by at most ``angle_deg``.

    Args:
        cells: (HW,) the index map.
        shown: the surfels of the cells.
        observation: the measured surfels.
        camera: the image.
        config: the limits.
    """
    pixels = torch.nonzero(observation.valid).squeeze(1)
    # Rows of x, y and z: sums over three rows are five times faster than over three columns.
    points = observation.points[pixels].T.contiguous()
    normals = observation.normals[pixels].T.contiguous()
    positions, directions = shown.positions.T.contiguous(), shown.normals.T.contiguous()
    depth = observation.depth[pixels]
    along_limit = config.distance_m * (depth / 2.0).clamp_min(1.0)
    across_limit = _REACH_PIXELS * depth * (2.0 / (camera.fx + camera.fy))
    # Along a slanted surface the footprint is longer than across the ray.
    footprint = _REACH_PIXELS * math.sqrt(2.0) * observation.radius[pixels]
    reach = torch.maximum(across_limit, footprint).square()
    min_cos = math.cos(math.radians(config.angle_deg))
    occupied = functional.pad(cells.reshape(camera.height, camera.width) >= 0, (1, 1, 1, 1))
    occupied, stride = occupied.flatten(), camera.width + 2
    # The upper left neighbour in the bordered image, which every pixel has.
    corner = pixels + 2 * torch.div(pixels, camera.width, rounding_mode="floor")
    best = torch.full_like(depth, torch.inf)
    chosen = torch.full_like(pixels, -1, dtype=torch.int8)
    # Arithmetic in place of torch.where, which is ten times slower on a CPU.
    for neighbour in range(9):
        dy, dx = divmod(neighbour, 3)
        cell = pixels + ((dy - 1) * camera.width + dx - 1)
        there = cell.clamp(0, cells.numel() - 1)
        offset = positions.index_select(1, there) - points
        along = (offset * normals).sum(0)
        across = (offset.square().sum(0) - along.square()).clamp_min(_TINY)
        facing = (directions.index_select(1, there) * normals).sum(0)
        fits = (along.abs() < along_limit) & (across < reach) & (facing > min_cos)
        cost = across / (fits & occupied.index_select(0, corner + (dy * stride + dx)))
        chosen += (neighbour - chosen) * (cost < best)
        best = torch.minimum(best, cost)
    matched = torch.nonzero(chosen >= 0).squeeze(1)
    pixels, chosen = pixels[matched], chosen[matched].long()
    step = torch.div(chosen, 3, rounding_mode="floor") * camera.width + chosen % 3
    matches = torch.full_like(cells, -1)
    matches[pixels] = pixels + step - (camera.width + 1)
    return matches


def outdated(
    projection: Projection,
    observation: Observation,
    updated: torch.Tensor,
    fusion: int,
    config: MapConfig,
) -> torch.Tensor:
    """Return (R,) slots of unstable surfels that the keyframe contradicts.

    Confident surfels stay (Keller et al. 2013, section 4.3). The others go when their pixel

    * measures a surface at least three association distances behind them: their space is empty;
    * measures their own place, and nothing has merged with them for ``unconfirmed_keyframes``:
      they are noise beside a surfel that is confirmed. Keller et al. remove any surfel that stays
      unstable for a time, seen again or not.

    Args:
        projection: the surfels in view.
        observation: the measurement.
        updated: (N,) int32 of all slots, when each was last merged into.
        fusion: number of the fusion at work.
        config: the limits.
    """
    gap = observation.depth.index_select(0, projection.pixel) - projection.depth
    margin = 3.0 * config.distance_m * (projection.depth / 2.0).clamp_min(1.0)
    weak = observation.valid.index_select(0, projection.pixel)
    weak &= projection.confidence < config.stable_confidence
    judged = torch.nonzero(weak & ((gap > margin) | (gap.abs() < config.distance_m))).squeeze(1)
    slots = projection.slot.index_select(0, judged)
    gone = gap.index_select(0, judged) > margin.index_select(0, judged)
    if config.unconfirmed_keyframes > 0:
        gone |= updated.index_select(0, slots) < fusion - config.unconfirmed_keyframes
    return slots[gone]
