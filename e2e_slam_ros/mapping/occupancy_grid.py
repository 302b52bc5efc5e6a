"""A 2-D grid of free and occupied cells, from surfels and the rays that measured them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.grid import GridConfig
from e2e_slam_ros.mapping.floor import Floor, find_floor

UNKNOWN, FREE, OCCUPIED = -1, 0, 100
# More cells become larger ones.
_MOST_CELLS = 4_000_000
# Samples along rays that are in memory at once.
_MOST_SAMPLES = 4_000_000
# One ray for each keyframe, cell and step of height is enough.
_RAY_HEIGHT_M = 0.3
# A ray ends this many cells before the surface that it hit.
_SHORT = 1.5
# Floor within half of this cosine's angle is level enough to drive on.
_LEVEL = 0.7
_OFFSET = 1 << 20


@dataclass(frozen=True, eq=False)
class NavigationGrid:
    """Cells of the map's x-y plane, in the order of nav_msgs/OccupancyGrid.

    >>> grid = NavigationGrid(np.array([[FREE, OCCUPIED]], np.int8), 0.5, (1.0, 2.0), 0.0)
    >>> grid.at(1.6, 2.1), grid.at(0.0, 0.0)
    (100, -1)

    Attributes:
        cells: (H, W) int8: 0 free, 100 occupied, -1 unknown; row 0 has the lowest y.
        resolution_m: side of a cell, metres.
        origin: x and y of the corner of cell [0, 0], metres.
        floor_m: height of the floor below the middle of the grid, metres.
    """

    cells: npt.NDArray[np.int8]
    resolution_m: float
    origin: tuple[float, float]
    floor_m: float

    def at(self, x: float, y: float) -> int:
        """Return the cell at a place of the map; unknown outside the grid."""
        column = math.floor((x - self.origin[0]) / self.resolution_m)
        row = math.floor((y - self.origin[1]) / self.resolution_m)
        inside = 0 <= row < self.cells.shape[0] and 0 <= column < self.cells.shape[1]
        return int(self.cells[row, column]) if inside else UNKNOWN


@torch.inference_mode()
def occupancy_grid(
    points: torch.Tensor,
    normals: torch.Tensor,
    keyframe: torch.Tensor,
    centres: torch.Tensor,
    config: GridConfig,
) -> NavigationGrid | None:
    """Return the grid of free and occupied cells; None for a map without points.

    Occupied is a cell with enough surfels in the height band above the floor. Free is a cell with
    floor, or one that a ray from a camera crossed within the band, and that is not occupied.

    Args:
        points: (N, 3) surfels of the map frame, metres.
        normals: (N, 3), unit, towards the camera.
        keyframe: (N,) number of the keyframe that measured each surfel; it may be unknown.
        centres: (K, 3) camera centres of keyframes 0 to K - 1; NaN where they are unknown.

    >>> wall = torch.tensor([[2.0, 0.0, 0.5], [2.0, 0.0, 1.0]])
    >>> seen_by = torch.zeros(2, dtype=torch.int64)
    >>> camera = torch.tensor([[0.0, 0.0, 0.8]])
    >>> normals = torch.tensor([[-1.0, 0.0, 0.0]]).expand(2, 3)
    >>> grid = occupancy_grid(wall, normals, seen_by, camera, GridConfig(floor="fixed"))
    >>> grid.at(2.01, 0.01), grid.at(1.0, 0.01), grid.at(2.5, 0.0)
    (100, 0, -1)
    """
    sound = torch.isfinite(points).all(dim=1) & torch.isfinite(normals).all(dim=1)
    points, normals, keyframe = points[sound], normals[sound], keyframe[sound].long()
    if not len(points):
        return None
    floor = _floor(points, normals, config)
    heights, feet = floor.heights(points), floor.below(points)[:, :2]
    in_band = (heights >= config.low_m) & (heights <= config.high_m)
    ground = (heights.abs() < config.low_m) & (normals @ floor.up > _LEVEL)
    known = torch.isfinite(centres).all(dim=1)
    stood = floor.below(centres[known].to(points))[:, :2]
    size = _cell_size(torch.cat([feet[in_band | ground], stood]), config.resolution_m)
    blocked = _filled(_cells(feet[in_band], size), config.min_points)
    level = _filled(_cells(feet[ground], size), 1)
    reached = torch.cat([blocked, level, _cells(stood, size)])
    if not len(reached):
        return None
    low = reached.amin(dim=0) - 1
    shape = (reached.amax(dim=0) + 2 - low).tolist()
    cells = torch.full((shape[1], shape[0]), UNKNOWN, dtype=torch.int8, device=points.device)
    measured = (keyframe >= 0) & (keyframe < len(centres))
    rays = torch.nonzero(measured)[:, 0]
    rays = rays[known.to(rays.device)[keyframe[rays]]]
    crossed = _Rays.of(floor, centres.to(points)[keyframe[rays]], points[rays], config, size)
    crossed = crossed.thinned(keyframe[rays], _cells(feet[rays], size))
    for seen in (*crossed.cells(size), level):
        _mark(cells, seen - low, FREE)
    _mark(cells, blocked - low, OCCUPIED)
    x, y = (low * size).tolist()
    middle = torch.tensor([x + 0.5 * shape[0] * size, y + 0.5 * shape[1] * size, 0.0])
    floor_m = float(-floor.heights(middle.to(points)[None])[0] / floor.up[2])
    return NavigationGrid(cells.cpu().numpy(), size, (x, y), floor_m)


def _floor(points: torch.Tensor, normals: torch.Tensor, config: GridConfig) -> Floor:
    if config.floor == "auto":
        return find_floor(points, normals)
    return Floor(torch.tensor([0.0, 0.0, 1.0]).to(points), config.floor_m)


def _cell_size(places: torch.Tensor, size: float) -> float:
    """Return the side of a cell: doubled until (N, 2) places are in few enough cells."""
    if not len(places):
        return size
    # A few strays must not make all cells large.
    low, high = (
        torch.stack([axis.kthvalue(max(1, round(share * len(axis)))).values for axis in places.T])
        for share in (0.001, 0.999)
    )
    area = float((high - low + 2.0 * size).prod())
    while area / size**2 > _MOST_CELLS:
        size *= 2.0
    return size


def _cells(places: torch.Tensor, size: float) -> torch.Tensor:
    """Return the column and row (N, 2) int64 of (N, 2) places."""
    return torch.floor(places.double() / size).long()


def _filled(cells: torch.Tensor, least: int) -> torch.Tensor:
    """Return the cells (M, 2) that come at least so often among (N, 2)."""
    inside = (cells.abs() < _OFFSET).all(dim=1)
    packed = (cells[inside] + _OFFSET) @ torch.tensor([1, 2 * _OFFSET], device=cells.device)
    found, counts = torch.unique(packed, return_counts=True)
    found = found[counts >= least]
    columns, rows = found % (2 * _OFFSET), found // (2 * _OFFSET)
    return torch.stack([columns, rows], dim=1) - _OFFSET


def _mark(grid: torch.Tensor, cells: torch.Tensor, value: int) -> None:
    """Write a value at (N, 2) columns and rows; those outside are left out."""
    rows, columns = grid.shape
    inside = (cells >= 0).all(dim=1) & (cells[:, 0] < columns) & (cells[:, 1] < rows)
    cells = cells[inside]
    grid[cells[:, 1], cells[:, 0]] = value


@dataclass(frozen=True, eq=False)
class _Rays:
    """Parts of rays within the height band, in the x-y plane.

    Attributes:
        start, end: (R, 2) metres.
        heights: (R,) of the surfaces that they hit, metres above the floor.
    """

    start: torch.Tensor
    end: torch.Tensor
    heights: torch.Tensor

    @staticmethod
    def of(
        floor: Floor, centres: torch.Tensor, points: torch.Tensor, config: GridConfig, size: float
    ) -> _Rays:
        """Clip rays from (R, 3) centres to (R, 3) points to the band and the range."""
        from_m, to_m = floor.heights(centres), floor.heights(points)
        length = (points - centres).norm(dim=1).clamp_min(1e-6)
        slope = to_m - from_m
        slope = torch.where(slope.abs() < 1e-6, torch.full_like(slope, 1e-6), slope)
        at_low, at_high = (config.low_m - from_m) / slope, (config.high_m - from_m) / slope
        first = torch.minimum(at_low, at_high).clamp(0.0, 1.0)
        last = torch.maximum(at_low, at_high).clamp(0.0, 1.0)
        last = torch.minimum(last, (1.0 - _SHORT * size / length).clamp_min(0.0))
        last = torch.maximum(torch.minimum(last, config.range_m / length), first)
        start, end = floor.below(centres)[:, :2], floor.below(points)[:, :2]
        step = end - start
        return _Rays(start + first[:, None] * step, start + last[:, None] * step, to_m)

    def thinned(self, keyframe: torch.Tensor, cells: torch.Tensor) -> _Rays:
        """Return one ray for each keyframe, cell (R, 2) that it hit, and step of height."""
        if not len(keyframe):
            return self
        steps = torch.floor(self.heights / _RAY_HEIGHT_M).clamp(-100, 100).long()
        keys = torch.stack([keyframe, cells[:, 0], cells[:, 1], steps])
        low = keys.amin(dim=1, keepdim=True)
        sizes = (keys.amax(dim=1) - low[:, 0] + 1).tolist()
        packed = torch.zeros_like(keyframe)
        for key, count in zip(keys - low, sizes, strict=True):
            packed = packed * count + key
        _, group = torch.unique(packed, return_inverse=True)
        first = torch.full((int(group.max()) + 1,), len(group), device=group.device)
        place = torch.arange(len(group), device=group.device)
        first = first.scatter_reduce(0, group, place, "amin")
        return _Rays(self.start[first], self.end[first], self.heights[first])

    def cells(self, size: float) -> list[torch.Tensor]:
        """Return the cells (N, 2) that the rays cross, in parts."""
        length = (self.end - self.start).norm(dim=1)
        steps = torch.where(length > 0.0, torch.ceil(length / (0.7 * size)) + 1.0, 0.0).long()
        part = torch.cumsum(steps, 0) // _MOST_SAMPLES
        parts = int(part[-1]) + 1 if len(part) else 0
        return [self._crossed(part == number, steps, size) for number in range(parts)]

    def _crossed(self, chosen: torch.Tensor, steps: torch.Tensor, size: float) -> torch.Tensor:
        start, end, steps = self.start[chosen], self.end[chosen], steps[chosen]
        ray = torch.repeat_interleave(torch.arange(len(steps), device=steps.device), steps)
        begun = torch.cumsum(steps, 0) - steps
        along = torch.arange(len(ray), device=ray.device) - begun[ray]
        share = along / (steps[ray] - 1).clamp_min(1)
        places = start[ray] + share[:, None] * (end - start)[ray]
        return _filled(_cells(places, size), 1)
