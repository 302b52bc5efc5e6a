"""Which surfel a pixel has seen: projective association through an index map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.masks import indices
from e2e_slam_ros.geometry.splat import winners
from e2e_slam_ros.mapping.observation import Observation

# Two pixel grids at the same scale are at most 0.71 pixel apart at the nearest point; the rest is
# for noise in pose and depth. Beyond one pixel detail is lost (bench/map_quality.py).
_REACH_PIXELS = 1.0
# Near plane: closer surfels are behind or inside the lens.
_NEAR_M = 0.02
# Stands in for a distance of exactly 0, which division by "does not fit" would turn into NaN.
_TINY = 1e-20
# Where the surfels of empty cells are, metres. Its square is a float32.
_ELSEWHERE_M = 1e15


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
    # Intrinsics and rotation in one matrix, points as rows, in place: a third of the time of the
    # textbook order on a CPU, and this is the one step that touches every surfel in view.
    to_pixels = camera.matrix(positions.device, torch.float64) @ T_map_camera[:3, :3].T.double()
    translation = T_map_camera[:3, 3].to(positions.dtype)
    rows = torch.stack(positions.unbind(1)).sub_(translation[:, None])
    x, y, z = to_pixels.to(positions.dtype) @ rows
    inverse = z.reciprocal()
    u, v = (x * inverse).round_(), (y * inverse).round_()
    across, down = (camera.width - 1) / 2, (camera.height - 1) / 2
    # Comparisons take longer than sums: one for both axes, depth and confidence. Whole pixels are
    # inside up to half a pixel beyond the last.
    beside, above = (u - across).abs_().sub_(across + 0.5), (v - down).abs_().sub_(down + 0.5)
    within = torch.maximum(beside, above, out=beside).neg_()
    torch.minimum(within, torch.minimum(z - _NEAR_M, confidence), out=within)
    index = indices(within > 0)
    row, column = v.index_select(0, index), u.index_select(0, index)
    return Projection(
        slot=slots.index_select(0, index),
        # Exact up to 16 million pixels, and faster than with whole numbers.
        pixel=column.add_(row, alpha=camera.width).long(),
        depth=z.index_select(0, index),
        confidence=confidence.index_select(0, index),
    )


def index_map(projection: Projection, camera: PinholeCamera, bin_m: float) -> torch.Tensor:
    """Return (HW,) int64: the surfel that a pixel shows, -1 where there is none.

    The nearest surface wins; within one surface (one depth bin of ``bin_m``) the most
    confident surfel, then the lowest slot. The order is total, so the result does not depend on
    the order of execution.
    """
    layer = (projection.depth / bin_m).clamp_(0, 2**15 - 1).int()
    doubt = (2**14 - 1) - (projection.confidence * 32).clamp_(0, 2**14 - 1).int()
    key = layer.bitwise_left_shift_(14).bitwise_or_(doubt).long()
    key.bitwise_left_shift_(32).bitwise_or_(projection.slot)
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
    size = (camera.height, camera.width)
    seen = (observation.points, observation.normals)
    points, normals = (columns.T.reshape(3, *size).unbind() for columns in seen)
    positions, facing = _bordered(cells, shown, size)
    depth = observation.depth.view(size)
    along_limit = config.distance_m * (depth / 2.0).clamp_min(1.0)
    across_limit = _REACH_PIXELS * depth * (2.0 / (camera.fx + camera.fy))
    # Along a slanted surface the footprint is longer than across the ray.
    footprint = _REACH_PIXELS * math.sqrt(2.0) * observation.radius.view(size)
    reach = torch.maximum(across_limit, footprint).square()
    min_cos = math.cos(math.radians(config.angle_deg))
    best, chosen = torch.full_like(depth, torch.inf), torch.full_like(depth, -1.0)
    passes = torch.empty_like(depth)
    # The whole image moves by a pixel: slices, where looking up each pixel's neighbour takes
    # twice the time. What a comparison writes into floats is 0 or 1; bools take five times as
    # long on a CPU, and torch.where longer still.
    for neighbour in range(9):
        dy, dx = divmod(neighbour, 3)
        part = (slice(dy, dy + camera.height), slice(dx, dx + camera.width))
        offset = [there[part] - here for there, here in zip(positions, points, strict=True)]
        along = _dot(offset, normals)
        across = _dot(offset, offset).sub_(along.square()).clamp_min_(_TINY)
        fits = along.abs_().lt_(along_limit).mul_(torch.lt(across, reach, out=passes))
        fits.mul_(_dot([row[part] for row in facing], normals).gt_(min_cos))
        cost = across.div_(fits)
        chosen.lerp_(depth.new_tensor(float(neighbour)), torch.lt(cost, best, out=passes))
        torch.minimum(best, cost, out=best)
    pixels = indices((chosen.view(-1) >= 0) & observation.valid)
    chosen = chosen.view(-1).index_select(0, pixels).long()
    step = torch.div(chosen, 3, rounding_mode="floor") * camera.width + chosen % 3
    matches = torch.full_like(cells, -1)
    return matches.index_copy_(0, pixels, pixels + step - (camera.width + 1))


def _bordered(
    cells: torch.Tensor, shown: ShownSurfels, size: tuple[int, int]
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Return x, y and z of the cells' surfels and normals, (H + 2, W + 2), one pixel around.

    Nothing fits to an empty cell, or to one outside the image: it is far away.
    """
    # Rows of x, y and z: sums over three rows are five times faster than over three columns.
    positions, normals = (torch.stack(x.unbind(1)) for x in (shown.positions, shown.normals))
    positions[0] += (cells < 0) * _ELSEWHERE_M
    around = (1, 1, 1, 1)
    bordered = functional.pad(positions.view(3, *size), around, value=_ELSEWHERE_M)
    return bordered.unbind(), functional.pad(normals.view(3, *size), around).unbind()


def _dot(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the scalar products of vectors given as rows of x, y and z."""
    return (a[0] * b[0]).addcmul_(a[1], b[1]).addcmul_(a[2], b[2])


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
    # Most surfels are confident: only the others are looked at.
    weak = indices(projection.confidence < config.stable_confidence)
    pixel, depth = projection.pixel.index_select(0, weak), projection.depth.index_select(0, weak)
    gap = observation.depth.index_select(0, pixel) - depth
    margin = 3.0 * config.distance_m * (depth / 2.0).clamp_min(1.0)
    judged = observation.valid.index_select(0, pixel)
    judged &= (gap > margin) | (gap.abs() < config.distance_m)
    rows = indices(judged)
    slots = projection.slot.index_select(0, weak.index_select(0, rows))
    gone = gap.index_select(0, rows) > margin.index_select(0, rows)
    if config.unconfirmed_keyframes > 0:
        gone |= updated.index_select(0, slots) < fusion - config.unconfirmed_keyframes
    return slots[gone]
