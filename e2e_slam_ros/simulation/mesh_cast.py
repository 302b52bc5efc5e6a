"""First hits on triangles.

A triangle a, b, c is seen along d, with the camera at the origin, where d . (b x c), d . (c x a)
and d . (a x b) have the sign of a . (b x c). These three edge functions and the inverse depth are
linear in the image coordinates (Olano and Greer, "Triangle scan conversion using 2D homogeneous
coordinates", Graphics Hardware 1997). No triangle needs clipping. A tile is left out where one
edge function is negative in all its corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.simulation.scene import Meshes, Scene

TILE = 16
NEAR_M = 0.02
# (run of triangles, tile) pairs, and (triangle, tile) pairs per step. Few enough for a CPU's
# cache, enough to fill a GPU.
_CPU_RUNS, _GPU_RUNS = 2048, 65536
_CPU_TILES, _GPU_TILES = 512, 65536
# Six times a tetrahedron's volume below which a triangle is seen from its edge, cubic metres.
_THIN = 1e-12


@dataclass(frozen=True, eq=False)
class MeshTable:
    """Triangles of concatenated scenes and the poses they are seen from.

    Attributes:
        first, count: (P,) int64, run of each primitive of the concatenated scenes.
        corners: (T, 3, 3) float32, metres, map frame.
        T_map_camera: (B, 4, 4) float64.

    >>> one = torch.ones(1, dtype=torch.int64)
    >>> MeshTable(0 * one, one, torch.eye(3)[None], torch.eye(4)[None]).count
    tensor([1])
    """

    first: torch.Tensor
    count: torch.Tensor
    corners: torch.Tensor
    T_map_camera: torch.Tensor


@dataclass(frozen=True, eq=False)
class TriangleViews:
    """E triangles, each seen by one camera.

    Attributes:
        row: (E,) int64, row of the `ViewTable` with the triangle's run.
        triangle: (E,) int64, triangle of the concatenated scenes.
        functions: (E, 4, 3) float32. Times (x, y, 1) they are the three edge functions, none of
            them negative inside, and the inverse depth.
        inverse: (E, 2) float32, least and greatest inverse depth of the triangle.
        first, count: (rows of the pairs,) int64, where in the E triangles a pair's run is.

    >>> one = torch.zeros(1, dtype=torch.int64)
    >>> TriangleViews(one, one, torch.zeros(1, 4, 3), torch.ones(1, 2), one, one + 1).row
    tensor([0])
    """

    row: torch.Tensor
    triangle: torch.Tensor
    functions: torch.Tensor
    inverse: torch.Tensor
    first: torch.Tensor
    count: torch.Tensor


def mesh_table(scenes: Sequence[Scene], T_map_camera: torch.Tensor) -> MeshTable | None:
    """Return the triangles of all scenes, or None where there are none."""
    if all(scene.meshes is None for scene in scenes):
        return None
    first, count, corners, total = [], [], [], 0
    for scene in scenes:
        meshes: Meshes | None = scene.meshes
        if meshes is None:
            first.append(torch.zeros_like(scene.kind))
            count.append(torch.zeros_like(scene.kind))
            continue
        first.append(meshes.first + total)
        count.append(meshes.count)
        corners.append(meshes.corners)
        total += meshes.corners.shape[0]
    return MeshTable(torch.cat(first), torch.cat(count), torch.cat(corners), T_map_camera)


def triangle_views(
    table: MeshTable, view: torch.Tensor, primitive: torch.Tensor, rows: torch.Tensor
) -> TriangleViews:
    """Return the triangles of the runs that a picture can show.

    Args:
        view, primitive: (R,) int64, of the `ViewTable`'s rows.
        rows: (N,) int64, sorted rows of (run, tile) pairs.
    """
    seen, index = torch.unique_consecutive(rows, return_inverse=True)
    count = table.count[primitive[seen]]
    first = count.cumsum(0) - count
    row = seen.repeat_interleave(count)
    place = torch.arange(len(row), device=row.device) - first.repeat_interleave(count)
    triangle = table.first[primitive[row]] + place
    # In double precision, because these few numbers set the accuracy of every pixel.
    pose = table.T_map_camera[view[row]]
    away = table.corners[triangle].double() - pose[:, None, :3, 3]
    # No matrix product here, because it may run in reduced precision on a GPU.
    a, b, c = (away.unsqueeze(-1) * pose[:, None, :3, :3]).sum(-2).unbind(1)
    cross = torch.stack(
        [torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=1
    )
    volume = (a * cross[:, 0]).sum(-1)
    thin = volume.abs() < _THIN
    scale = torch.where(thin, 0.0, volume.masked_fill(thin, 1.0).reciprocal())
    functions = torch.cat([cross, cross.sum(1, keepdim=True)], dim=1) * scale[:, None, None]
    # An edge function that is negative everywhere.
    functions[:, 0, 2] = torch.where(thin, -1.0, functions[:, 0, 2])
    depth = torch.stack([a[:, 2], b[:, 2], c[:, 2]], dim=1)
    nearest = depth.amin(1).clamp_min(NEAR_M)
    inverse = torch.stack([depth.amax(1).clamp_min(NEAR_M), nearest], dim=1).reciprocal()
    return TriangleViews(
        row, triangle, functions.float(), inverse.float(), first[index], count[index]
    )


def cast_triangles(
    triangles: TriangleViews,
    view: torch.Tensor,
    pairs: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    nearest: torch.Tensor,
) -> None:
    """Put first hits on triangles into the keys of all tiles.

    Args:
        view: (R,) int64, of the `ViewTable`'s rows.
        pairs: (N, 3) int64: table row, tile row, tile column of runs that a tile may show.
        x: (B, columns, TILE), y: (B, rows, TILE), image coordinates of the tiles' pixels.
        nearest: (B * rows * columns, TILE * TILE) float64, keys of `pack`; changed. The lower
            half of a triangle's key is R plus its place among ``triangles``.
    """
    on_cpu = pairs.device.type == "cpu"
    runs, tiles = (_CPU_RUNS, _CPU_TILES) if on_cpu else (_GPU_RUNS, _GPU_TILES)
    rows, cols, flat = y.shape[1], x.shape[1], nearest.view(-1)
    for first in range(0, len(pairs), runs):
        some = slice(first, first + runs)
        row, v, u = pairs[some].unbind(-1)
        count, start = triangles.count[some], triangles.first[some]
        pair = torch.arange(len(row), device=row.device).repeat_interleave(count)
        place = torch.arange(len(pair), device=row.device) - (count.cumsum(0) - count)[pair]
        entry = start[pair] + place
        which = view[row]
        tile = (which * rows + v) * cols + u
        along, down = x[which, u], y[which, v]
        touched = _touches(triangles.functions[entry], along[pair], down[pair]).nonzero()[:, 0]
        entry, pair = entry[touched], pair[touched]
        for step in range(0, len(entry), tiles):
            part = slice(step, step + tiles)
            _put(triangles, entry[part], along[pair[part]], down[pair[part]], tile[pair[part]],
                 len(view), flat)  # fmt: skip


def _touches(f: torch.Tensor, along: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Return (N,) bool: whether a tile may show the triangle of functions ``f`` (N, 4, 3)."""
    ends = torch.stack([along[:, 0], along[:, -1]], dim=-1)[:, None]
    best = (f[..., :1] * ends).amax(-1)
    ends = torch.stack([down[:, 0], down[:, -1]], dim=-1)[:, None]
    best = best + (f[..., 1:2] * ends).amax(-1) + f[..., 2]
    return (best >= 0).all(-1)


def _put(
    triangles: TriangleViews,
    entry: torch.Tensor,
    along: torch.Tensor,
    down: torch.Tensor,
    tile: torch.Tensor,
    rows: int,
    flat: torch.Tensor,
) -> None:
    """Test the pixels of (triangle, tile) pairs and put the hits into the keys."""
    f = triangles.functions[entry]
    across = (f[..., :1] * along[:, None] + f[..., 2:]).unsqueeze(2)
    below = (f[..., 1:2] * down[:, None]).unsqueeze(3)
    # Neighbours on a common edge have the same values with opposite signs: no gap between them.
    least = torch.minimum(across[:, 0] + below[:, 0], across[:, 1] + below[:, 1])
    least = torch.minimum(least, across[:, 2] + below[:, 2])
    hit = (least >= 0).flatten().nonzero()[:, 0]
    pair, pixel = hit // (TILE * TILE), hit % (TILE * TILE)
    inverse = across[pair, 3, 0, pixel % TILE] + below[pair, 3, pixel // TILE, 0]
    chosen = entry[pair]
    limits = triangles.inverse[chosen]
    inverse = torch.maximum(torch.minimum(inverse, limits[:, 1]), limits[:, 0])
    depth = inverse.reciprocal()
    depth = depth.masked_fill_(depth <= NEAR_M, torch.finfo(torch.float32).max)
    # The smallest key does not depend on the order of the pairs: deterministic.
    flat.scatter_reduce_(0, tile[pair] * (TILE * TILE) + pixel, pack(depth, rows + chosen), "amin")


def pack(depth: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """Return float64 numbers that sort like (depth, row).

    The bit patterns of positive floats sort like integers. The upper 32 bits hold the depth and
    the lower 32 bits the row. Read as float64 the numbers are finite, and `amin` supports float64.
    """
    upper = depth.contiguous().view(torch.int32).to(torch.int64) << 32
    return (upper | row).view(torch.float64)
