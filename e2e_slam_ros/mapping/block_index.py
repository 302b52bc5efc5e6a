"""Voxel blocks: they find the part of the map that a keyframe can see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.camera import PinholeCamera

# Finest tile of the depth pyramid, pixels. Smaller finds little more to leave out.
_TILE = 16
_LEVELS = 5
# Block coordinates are packed into one integer, 21 bits an axis: +-260 km in 0.25 m blocks.
_BITS = 21
_OFFSET = 1 << (_BITS - 1)


@dataclass(frozen=True, eq=False)
class DepthPyramid:
    """The farthest measured depth over square tiles of five sizes, 16 pixels and up.

    >>> pyramid = DepthPyramid.of(torch.full((1, 1, 48, 64), 3.0))
    >>> u, v, radius = torch.tensor([30.0]), torch.tensor([20.0]), torch.tensor([5.0])
    >>> pyramid.farthest(u, v, radius)
    tensor([3.])

    Attributes:
        values: all levels one after the other, row by row; metres, 0 = nothing measured.
        first: index of each level's first value.
        rows, columns: each level's size in tiles.
    """

    values: torch.Tensor
    first: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor

    @staticmethod
    def of(depth: torch.Tensor) -> DepthPyramid:
        """Build it from (1, 1, H, W) depth."""
        level = functional.max_pool2d(depth, _TILE, ceil_mode=True)
        levels = [level]
        while len(levels) < _LEVELS:
            level = functional.max_pool2d(level, 2, ceil_mode=True)
            levels.append(level)
        sizes = torch.tensor([item.shape[-2:] for item in levels], device=depth.device)
        counts = sizes[:, 0] * sizes[:, 1]
        return DepthPyramid(
            values=torch.cat([item.flatten() for item in levels]),
            first=counts.cumsum(0) - counts,
            rows=sizes[:, 0],
            columns=sizes[:, 1],
        )

    def farthest(self, u: torch.Tensor, v: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        """Return a bound from above on the depth within ``radius`` pixels of (u, v); (N,) each."""
        level = torch.log2((2.0 * radius / _TILE).clamp_min(1.0)).ceil().long()
        level = level.clamp_max(_LEVELS - 1)
        size = (_TILE * 2.0**level).to(u.dtype)
        # A window no wider than a tile lies in at most two tiles each way.
        left, right = ((u - radius) / size).floor(), ((u + radius) / size).floor()
        top, bottom = ((v - radius) / size).floor(), ((v + radius) / size).floor()
        columns, rows, first = self.columns[level], self.rows[level], self.first[level]
        bound = torch.zeros_like(u)
        for y in (top, bottom):
            for x in (left, right):
                column = torch.minimum(x.long().clamp_min(0), columns - 1)
                row = torch.minimum(y.long().clamp_min(0), rows - 1)
                bound = torch.maximum(bound, self.values[first + row * columns + column])
        # The coarsest level is not coarse enough for what is very near.
        return torch.where(2.0 * radius > size, self.values.amax(), bound)


class BlockIndex:
    """Cubes of ``block_m`` metres that hold surfels, numbered in order of creation.

    >>> blocks = BlockIndex(0.25, torch.device("cpu"))
    >>> blocks.find_or_add(torch.tensor([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [1.1, 0.0, 0.0]]))
    tensor([0, 0, 1])
    >>> blocks.centers[1].tolist()
    [1.125, 0.125, 0.125]
    """

    def __init__(self, block_m: float, device: torch.device) -> None:
        self.block_m = block_m
        self._device = device
        self.clear()

    def clear(self) -> None:
        """Forget every block."""
        none = torch.empty(0, dtype=torch.int64, device=self._device)
        self._keys, self._ids, self.last_seen = none, none, none
        self.centers = torch.empty((0, 3), device=self._device)

    def __len__(self) -> int:
        return int(self._keys.numel())

    def find_or_add(self, points: torch.Tensor) -> torch.Tensor:
        """Return the (N,) block of each of (N, 3) map points, making those that are missing."""
        cell = torch.floor(points / self.block_m).long()
        packed = (cell + _OFFSET).clamp(0, (1 << _BITS) - 1)
        key = (packed[:, 0] << (2 * _BITS)) | (packed[:, 1] << _BITS) | packed[:, 2]
        wanted, inverse = torch.unique(key, return_inverse=True)
        if len(self):
            at = torch.searchsorted(self._keys, wanted).clamp_max(len(self) - 1)
            missing = wanted[self._keys[at] != wanted]
        else:
            missing = wanted
        if missing.numel():
            self._insert(missing)
        return self._ids[torch.searchsorted(self._keys, wanted)][inverse]

    def in_view(
        self,
        camera: PinholeCamera,
        T_map_camera: torch.Tensor,
        pyramid: DepthPyramid | None,
        margin_m: torch.Tensor | float,
    ) -> torch.Tensor:
        """Return (B,) bool: blocks that may hold surfels a keyframe has to look at.

        A block is left out when its bounding sphere is outside the image, or wholly farther than
        ``margin_m`` behind everything measured where it projects to.
        """
        dtype = self.centers.dtype
        rotation = T_map_camera[:3, :3].to(dtype)
        local = (self.centers - T_map_camera[:3, 3].to(dtype)) @ rotation
        reach = 0.5 * math.sqrt(3.0) * self.block_m
        x, y, z = local.unbind(1)
        inside = z > -reach
        # Distance from the four side planes of the pyramid of vision, half a pixel outside.
        for coordinate, focal, near, far in (
            (x, camera.fx, camera.cx + 0.5, camera.width - 0.5 - camera.cx),
            (y, camera.fy, camera.cy + 0.5, camera.height - 0.5 - camera.cy),
        ):
            inside &= coordinate * focal + near * z > -reach * math.hypot(focal, near)
            inside &= far * z - coordinate * focal > -reach * math.hypot(focal, far)
        if pyramid is None:
            return inside
        depth = (z - reach).clamp_min(1e-3)
        radius = reach * max(camera.fx, camera.fy) / depth
        safe = z.clamp_min(1e-3)
        u, v = x / safe * camera.fx + camera.cx, y / safe * camera.fy + camera.cy
        # Off-centre spheres project to ellipses, longer by the slant of the ray.
        slant = 1.0 + (torch.hypot(x, y) / safe).square()
        farthest = pyramid.farthest(u, v, radius * slant)
        seen = (farthest > 0) & (z - reach < farthest + margin_m)
        return inside & (seen | (z < 2.0 * reach))

    def drop(self, keep: torch.Tensor) -> torch.Tensor:
        """Forget blocks where ``keep`` (B,) is false; returns (B,) their new numbers, -1 gone."""
        new_number = torch.where(keep, keep.long().cumsum(0) - 1, -1)
        kept = new_number[self._ids] >= 0
        self._keys, self._ids = self._keys[kept], new_number[self._ids[kept]]
        self.centers, self.last_seen = self.centers[keep], self.last_seen[keep]
        return new_number

    def _insert(self, keys: torch.Tensor) -> None:
        mask = (1 << _BITS) - 1
        cell = torch.stack([keys >> (2 * _BITS), (keys >> _BITS) & mask, keys & mask], dim=1)
        centers = ((cell - _OFFSET).double() + 0.5) * self.block_m
        numbers = torch.arange(len(self), len(self) + keys.numel(), device=self._device)
        order = torch.argsort(torch.cat([self._keys, keys]))
        self._keys = torch.cat([self._keys, keys])[order]
        self._ids = torch.cat([self._ids, numbers])[order]
        self.centers = torch.cat([self.centers, centers.to(self.centers.dtype)])
        self.last_seen = torch.cat([self.last_seen, torch.full_like(numbers, -1)])
