"""First hits of all pixels of a batch of views.

The image is divided into tiles of 16x16 pixels. A primitive is tested only on the tiles that its
box can touch; `mesh_cast` tests the triangles of meshes. A pixel therefore costs only a few
intersections, however many primitives the room has. Every step is one tensor operation over all
(primitive, tile) pairs of all views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.simulation.intersect import INTERVALS, Components, cube_interval
from e2e_slam_ros.simulation.mesh_cast import (
    NEAR_M,
    TILE,
    MeshTable,
    TriangleViews,
    cast_triangles,
    mesh_table,
    pack,
    triangle_views,
)
from e2e_slam_ros.simulation.scene import BALL, BOX, CYLINDER, HULL, MESH, Scene

# Pairs per step. Few enough to keep temporaries in a CPU's cache, enough to fill a GPU.
_CPU_PAIRS, _GPU_PAIRS = 256, 65536


@dataclass(frozen=True, eq=False)
class ViewTable:
    """One row for each primitive of each view, R rows in the order of the views.

    Attributes:
        kind: (R,) int64.
        view: (R,) int64, the view that a row belongs to.
        primitive: (R,) int64, row of the concatenated scenes' primitives.
        hull: (B,) int64, row of each view's room.
        origin: (R, 3), camera centre in the primitive's unit frame.
        matrix: (R, 3, 3), rotation and scale from a camera-frame direction to the unit frame.
        centre: (R, 3), primitive centre in the camera frame, metres.
        axes: (R, 3, 3), columns are its half axes in the camera frame, metres.
        meshes: triangles of the concatenated scenes, or None where no scene has any.

    >>> from e2e_slam_ros.simulation.builder import Material, SceneBuilder
    >>> from e2e_slam_ros.simulation.scene import Lamps
    >>> build = SceneBuilder()
    >>> build.hull((4.0, 4.0, 4.0), (Material(texture=0),) * 6)
    >>> lamps = Lamps(torch.zeros(1, 3), torch.ones(1, 3), torch.ones(2, 3))
    >>> scene = build.build(torch.ones(1, 8, 8, 3), lamps)
    >>> T_map_camera = torch.eye(4)
    >>> T_map_camera[2, 3] = 1.0  # 1 m above the floor, the camera looks at the ceiling
    >>> table = view_table([scene], T_map_camera[None])
    >>> k = torch.tensor([[[16.0, 0.0, 7.5], [0.0, 16.0, 7.5], [0.0, 0.0, 1.0]]])
    >>> round(float(cast(table, k, 16, 16).depth.min()), 3)  # the ceiling is 3 m away
    3.0
    """

    kind: torch.Tensor
    view: torch.Tensor
    primitive: torch.Tensor
    hull: torch.Tensor
    origin: torch.Tensor
    matrix: torch.Tensor
    centre: torch.Tensor
    axes: torch.Tensor
    meshes: MeshTable | None = None


@dataclass(frozen=True, eq=False)
class Hits:
    """First hit of each pixel.

    Attributes:
        depth: (B, H, W), z in metres.
        row: (B, H, W) int64, row of the `ViewTable`.
        triangle: (B, H, W) int64, triangle of the concatenated scenes, -1 where the pixel shows
            none. None where no scene has any.

    >>> hits = Hits(torch.full((1, 2, 2), 3.0), torch.zeros(1, 2, 2, dtype=torch.int64))
    >>> hits.depth.shape
    torch.Size([1, 2, 2])
    """

    depth: torch.Tensor
    row: torch.Tensor
    triangle: torch.Tensor | None = None


def view_table(scenes: Sequence[Scene], T_map_camera: torch.Tensor) -> ViewTable:
    """Return the table of B views. Consecutive views share a scene if B > len(scenes)."""
    device = scenes[0].device
    pose = T_map_camera.to(device=device, dtype=torch.float64)
    views_each = pose.shape[0] // len(scenes)
    lengths = [len(scene) for scene in scenes for _ in range(views_each)]
    counts = torch.tensor(lengths, device=device)
    starts, first = [], 0
    for scene in scenes:
        starts += [first] * views_each
        first += len(scene)
    view = torch.arange(len(lengths), device=device).repeat_interleave(counts)
    hull = counts.cumsum(0) - counts
    row = torch.arange(len(view), device=device)
    primitive = row - hull[view] + torch.tensor(starts, device=device)[view]

    def gather(name: str) -> torch.Tensor:
        stacked: torch.Tensor = torch.cat([getattr(scene, name) for scene in scenes])
        return stacked[primitive]

    # In double precision, because these few numbers set the accuracy of every pixel.
    half, rotation = gather("half").double(), gather("rotation").double()
    turn, shift = pose[view, :3, :3], pose[view, :3, 3]
    away = (shift - gather("centre").double()).unsqueeze(-1)
    scaled = rotation.transpose(1, 2) / half.unsqueeze(-1)
    axes = turn.transpose(1, 2) @ rotation * half.unsqueeze(1)
    return ViewTable(
        kind=gather("kind"),
        view=view,
        primitive=primitive,
        hull=hull,
        origin=(scaled @ away).squeeze(-1).float(),
        matrix=(scaled @ turn).float(),
        centre=-(turn.transpose(1, 2) @ away).squeeze(-1).float(),
        axes=axes.float(),
        meshes=mesh_table(scenes, pose),
    )


def cast(table: ViewTable, intrinsics: torch.Tensor, height: int, width: int) -> Hits:
    """Return the first hit of each pixel.

    Args:
        intrinsics: (B, 3, 3), pinhole without skew.
        height, width: image size in pixels.
    """
    device, views = table.kind.device, intrinsics.shape[0]
    k = intrinsics.to(device=device, dtype=torch.float32)
    rows, cols = -(-height // TILE), -(-width // TILE)
    x = (torch.arange(cols * TILE, device=device) - k[:, 0, 2, None]) / k[:, 0, 0, None]
    y = (torch.arange(rows * TILE, device=device) - k[:, 1, 2, None]) / k[:, 1, 1, None]

    nearest = _hull_keys(table, x, y)
    pairs = _touched_tiles(table, k, rows, cols)
    x, y = x.reshape(views, cols, TILE), y.reshape(views, rows, TILE)
    nearest = nearest.reshape(views, rows, TILE, cols, TILE).transpose(2, 3)
    nearest = nearest.reshape(views * rows * cols, TILE * TILE)
    size = _CPU_PAIRS if device.type == "cpu" else _GPU_PAIRS
    kinds = table.kind[pairs[:, 0]]
    for kind in (BOX, CYLINDER, BALL):
        chosen = pairs[kinds == kind]
        for first in range(0, len(chosen), size):
            row, v, u = chosen[first : first + size].unbind(-1)
            view = table.view[row]
            keys = _solid_keys(table, kind, row, x[view, u], y[view, v])
            tile = ((view * rows + v) * cols + u)[:, None].expand_as(keys)
            # The smallest key does not depend on the order of the pairs: deterministic.
            nearest.scatter_reduce_(0, tile, keys, "amin")
    triangles = None
    if table.meshes is not None:
        pairs = pairs[kinds == MESH]
        triangles = triangle_views(table.meshes, table.view, table.primitive, pairs[:, 0])
        cast_triangles(triangles, table.view, pairs, x, y, nearest)
    whole = nearest.reshape(views, rows, cols, TILE, TILE).transpose(2, 3)
    whole = whole.reshape(views, rows * TILE, cols * TILE)[:, :height, :width]
    bits = whole.contiguous().view(torch.int64)
    depth, low = (bits >> 32).to(torch.int32).view(torch.float32), bits & 0xFFFFFFFF
    if triangles is None:
        return Hits(depth, low)
    return Hits(depth, *_parted(low, len(table.kind), triangles))


def _parted(
    low: torch.Tensor, rows: int, triangles: TriangleViews
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return table rows and triangles (-1 for none) of the keys' lower halves."""
    entry = low - rows
    on_mesh, entry = entry >= 0, entry.clamp_min(0)
    if len(triangles.row) == 0:
        return low, torch.full_like(low, -1)
    row = torch.where(on_mesh, triangles.row[entry], low)
    return row, torch.where(on_mesh, triangles.triangle[entry], -1)


def _hull_keys(table: ViewTable, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the keys (B, H, W) of the room's walls. Every ray leaves the room through a wall."""
    origin, direction = _ray(table, table.hull, x, y)
    _, leave = cube_interval(origin, direction)
    return pack(leave.clamp_min(NEAR_M), table.hull[:, None, None])


def _solid_keys(
    table: ViewTable, kind: int, row: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """Return the keys (pairs, TILE * TILE) of first hits on one kind of primitive.

    The key of a miss is huge.
    """
    enter, leave = INTERVALS[kind](*_ray(table, row, x, y))
    hit = (enter <= leave) & (enter > NEAR_M)
    far = torch.finfo(torch.float32).max
    key = pack(enter.masked_fill_(~hit, far), row[:, None, None])
    return key.flatten(1)


def _ray(
    table: ViewTable, row: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[Components, Components]:
    """Return unit-frame origins (N, 1, 1) and directions (N, h, w) of the rays (x, y, 1).

    The direction has z = 1 in the camera frame, so the ray parameter is the z-depth.
    """
    o, m = table.origin[row][..., None, None], table.matrix[row]
    along = (m[:, :, 0, None] * x[:, None] + m[:, :, 2, None]).unsqueeze(2)
    down = (m[:, :, 1, None] * y[:, None]).unsqueeze(3)
    dx, dy, dz = (along[:, i] + down[:, i] for i in range(3))
    return (o[:, 0], o[:, 1], o[:, 2]), (dx, dy, dz)


def _touched_tiles(table: ViewTable, k: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Return (pairs, 3) int64: table row, tile row, tile column of all possible hits.

    Along each image axis, a tile's rays lie between two planes through the camera centre. A box is
    outside if its centre is farther beyond one plane than the box extends along the plane's
    normal.
    """
    right = _between(table, k, 0, cols)
    down = _between(table, k, 1, rows)
    front = table.centre[:, 2] + table.axes[:, 2].abs().sum(-1) > NEAR_M
    solid = (table.kind != HULL) & front
    return (down[:, :, None] & right[:, None, :] & solid[:, None, None]).nonzero()


def _between(table: ViewTable, k: torch.Tensor, axis: int, tiles: int) -> torch.Tensor:
    """Return (R, tiles) bool: whether a tile's column or row may show the box.

    ``axis`` 0 selects columns, 1 rows.
    """
    edge = torch.arange(tiles + 1, device=k.device) * TILE - 0.5
    edge = ((edge - k[:, axis, 2, None]) / k[:, axis, axis, None])[table.view]
    offset = table.centre[:, axis, None] - edge * table.centre[:, 2, None]
    slanted = table.axes[:, axis, None] - edge.unsqueeze(-1) * table.axes[:, 2, None]
    reach = slanted.abs().sum(-1)
    # A small tolerance, so that rounding does not lose a pixel on a tile's edge.
    slack = 1e-4 * (1.0 + offset.abs())
    beyond_left = offset + reach < -slack
    beyond_right = offset - reach > slack
    return ~beyond_left[:, :-1] & ~beyond_right[:, 1:]
