"""Textures with mipmaps. One texture lookup is one weighted sum of eight texels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class Atlas:
    """All mip levels of all textures as one list of texels.

    Attributes:
        texels: (N, 3) float32, linear colour.
        start: (layers, levels) int32, first texel of a layer's level.
        size: edge of level 0 in texels, a power of two; level k has ``size >> k``.

    >>> atlas = build_atlas([torch.rand(2, 8, 8, 3)])
    >>> atlas.levels, tuple(atlas.start.shape)
    (4, (2, 4))
    """

    texels: torch.Tensor
    start: torch.Tensor
    size: int

    @property
    def levels(self) -> int:
        """Number of mip levels."""
        return int(self.start.shape[1])


def build_atlas(stacks: Sequence[torch.Tensor]) -> Atlas:
    """Return one atlas of texture stacks (layers, S, S, 3), in their order.

    All have one size S.
    """
    textures = torch.cat(list(stacks)) if len(stacks) > 1 else stacks[0]
    size, layers = int(textures.shape[1]), int(textures.shape[0])
    level = textures.permute(0, 3, 1, 2)
    parts, starts, first = [], [], 0
    layer = torch.arange(layers, device=textures.device)
    for power in range(size.bit_length()):
        edge = size >> power
        parts.append(level.permute(0, 2, 3, 1).reshape(-1, 3))
        starts.append((first + layer * edge * edge).int())
        first += layers * edge * edge
        if edge > 1:
            level = F.avg_pool2d(level, 2)
    return Atlas(torch.cat(parts), torch.stack(starts, dim=1), size)


def sample(
    atlas: Atlas, layer: torch.Tensor, u: torch.Tensor, v: torch.Tensor, texels_apart: torch.Tensor
) -> torch.Tensor:
    """Return trilinearly interpolated colours (N, 3).

    Args:
        layer: (N,) int64.
        u, v: (N,) texture coordinates in repeats, any range.
        texels_apart: (N,) distance of neighbouring pixels in texels of level 0.
    """
    detail = texels_apart.clamp_min(1.0).log2().clamp_max(atlas.levels - 1.001)
    low = detail.long()
    blend = detail - low
    index, weight = [], []
    u, v = u - u.floor(), v - v.floor()
    for step, share in ((0, 1.0 - blend), (1, blend)):
        taps, shares = _bilinear(atlas, layer, low + step, u, v)
        index += taps
        weight += [s * share for s in shares]
    return F.embedding_bag(
        torch.stack(index, dim=1),
        atlas.texels,
        per_sample_weights=torch.stack(weight, dim=1),
        mode="sum",
    )


def _bilinear(
    atlas: Atlas, layer: torch.Tensor, level: torch.Tensor, u: torch.Tensor, v: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return four texel indices and their bilinear weights on one mip level. Textures repeat."""
    # 32-bit indices halve the memory traffic. 2^31 texels would take 24 GB.
    edge = atlas.size >> level.int()
    start = atlas.start.reshape(-1).index_select(0, layer * atlas.levels + level)
    x, y = u * edge - 0.5, v * edge - 0.5
    left, top = x.floor(), y.floor()
    fx, fy = x - left, y - top
    # The edge is a power of two, so & wraps around, also for -1.
    mask = edge - 1
    x0, y0 = left.int() & mask, top.int() & mask
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    row0, row1 = start + y0 * edge, start + y1 * edge
    gx, gy = 1.0 - fx, 1.0 - fy
    return [row0 + x0, row0 + x1, row1 + x0, row1 + x1], [gx * gy, fx * gy, gx * fy, fx * fy]
