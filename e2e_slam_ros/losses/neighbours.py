"""Exact nearest neighbours between two point clouds, in plain torch on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

# Points in a leaf. Smaller leaves mean more boxes, larger leaves more distances. Measured.
_LEAF = 20
# Leaves under one wide box. The search compares wide boxes first.
_WIDE = 8
_MOST_LEAVES = 1 << 13
# The first guess of a query leaf looks into _GUESSED leaves of the _WIDE_GUESSED nearest boxes.
_GUESSED = 2
_WIDE_GUESSED = 2
# Rows of distances computed at once. They should fit into a CPU's cache, and fill a GPU.
_CPU_ROWS, _GPU_ROWS = 2048, 1 << 20
# Pairs of wide boxes opened at once. Each pair has 64 pairs of leaves.
_CPU_OPENED, _GPU_OPENED = 16384, 1 << 17
_INDEX_BITS = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class PointTree:
    """A k-d tree of points with leaves of equal size and a bounding box for each leaf.

    The coordinate axis comes first in all tensors. L is the number of leaves, g the number of
    points in a leaf.

    Attributes:
        count: number of points, n.
        order: (L * g) int64, the index of the point at each place of a leaf. The last point is
            repeated to fill the last leaves.
        points: (3, L, g) float32.
        low, high: (3, L), corners of the leaves' boxes.
        wide_low, wide_high: (3, L / 8), corners of the boxes around eight leaves each.

    >>> tree = build_tree(torch.arange(300.0).view(100, 3))
    >>> tree.count, tuple(tree.low.shape)
    (100, (3, 8))
    """

    count: int
    order: torch.Tensor
    points: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    wide_low: torch.Tensor
    wide_high: torch.Tensor


def build_tree(points: torch.Tensor) -> PointTree:
    """Return the k-d tree of (N, 3) float32 points, N >= 1.

    Each node is halved along the longest side of its box. One sort does three halvings at once,
    so a cloud of 20 000 points takes four sorts of rows of equal length.
    """
    count = points.shape[0]
    halvings = max(3, min(round(math.log2(count / _LEAF)), _MOST_LEAVES.bit_length() - 1))
    leaves = 1 << halvings
    places = leaves * -(-count // leaves)
    order = torch.arange(places, device=points.device).clamp_max_(count - 1).unsqueeze(0)
    axes = points.T.contiguous()
    placed = axes[:, order]
    while halvings > 0:
        step = min(3, halvings)
        longest = (placed.amax(2) - placed.amin(2)).argmax(0)
        key = placed.gather(0, longest.view(1, -1, 1).expand(1, -1, placed.shape[2]))[0]
        order = order.gather(1, key.argsort(1)).view(-1, placed.shape[2] >> step)
        placed = torch.stack([axis[order] for axis in axes])
        halvings -= step
    low, high = placed.amin(2), placed.amax(2)
    wide = (3, leaves // _WIDE, _WIDE)
    return PointTree(
        count, order.flatten(), placed, low, high, low.view(wide).amin(2), high.view(wide).amax(2)
    )


def nearest_in_tree(queries: PointTree, others: PointTree) -> torch.Tensor:
    """Return the index of the exact nearest neighbour in ``others`` for each query, (N,) int64.

    A first guess gives each query an upper bound of its distance. The search then opens only
    boxes nearer than the bound. It tests boxes of eight leaves first, then boxes of one leaf, and
    then the box of a leaf against the single query. No skipped box can hold a nearer point, so
    the result is exact.
    """
    best, bound, guess = _first_guess(queries, others)
    leaf_bound = bound.amax(1)
    wide_bound = leaf_bound.view(-1, _WIDE).amax(1)
    gaps = _gaps(
        queries.wide_low.unsqueeze(2),
        queries.wide_high.unsqueeze(2),
        others.wide_low.unsqueeze(1),
        others.wide_high.unsqueeze(1),
    )
    opened = torch.nonzero(gaps <= wide_bound.unsqueeze(1))
    on_cpu = opened.device.type == "cpu"
    for pairs in opened.split(_CPU_OPENED if on_cpu else _GPU_OPENED):
        mine, theirs = _leaf_pairs(queries, others, leaf_bound, pairs)
        _improve(best, queries, others, mine, theirs, bound, guess)
    found = torch.empty(queries.count, dtype=torch.int64, device=best.device)
    found[queries.order] = others.order[best & _INDEX_BITS]
    return found


def _first_guess(
    queries: PointTree, others: PointTree
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Search the few leaves next to each query leaf.

    Returns:
        best: (L * g), squared distance and index of the neighbour, packed into one integer. One
            minimum then finds both, because the bit patterns of non-negative floats have the
            order of the floats.
        bound: (L, g), squared distance of that neighbour.
        guess: (L, k), the leaves that were searched.
    """
    centre, their_centre = (0.5 * (tree.low + tree.high) for tree in (queries, others))
    wide_centre = 0.5 * (others.wide_low + others.wide_high)
    wide = _squared(centre.unsqueeze(2), wide_centre.unsqueeze(1))
    wide = wide.topk(min(_WIDE_GUESSED, wide.shape[1]), largest=False).indices
    leaves = wide.unsqueeze(2) * _WIDE + torch.arange(_WIDE, device=wide.device)
    leaves = leaves.flatten(1)
    apart = _squared(centre.unsqueeze(2), their_centre[:, leaves])
    guess = leaves.gather(1, apart.topk(_GUESSED, largest=False).indices)
    size = others.points.shape[2]
    there = others.points[:, guess].flatten(2)
    bound, place = _squared(queries.points.unsqueeze(3), there.unsqueeze(2)).min(2)
    leaf = guess.gather(1, place // size)
    return _packed(bound, leaf * size + place % size).flatten(), bound, guess


def _leaf_pairs(
    queries: PointTree, others: PointTree, leaf_bound: torch.Tensor, pairs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the near pairs of leaves, (P,) and (P,), within (W, 2) pairs of wide boxes."""
    mine, theirs = pairs.unbind(1)

    def leaves(corners: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
        return corners.view(3, -1, _WIDE)[:, wide]

    gaps = _gaps(
        leaves(queries.low, mine).unsqueeze(3),
        leaves(queries.high, mine).unsqueeze(3),
        leaves(others.low, theirs).unsqueeze(2),
        leaves(others.high, theirs).unsqueeze(2),
    )
    near = gaps <= leaf_bound.view(-1, _WIDE)[mine].unsqueeze(2)
    pair, first, second = near.nonzero(as_tuple=True)
    return mine[pair] * _WIDE + first, theirs[pair] * _WIDE + second


def _improve(
    best: torch.Tensor,
    queries: PointTree,
    others: PointTree,
    mine: torch.Tensor,
    theirs: torch.Tensor,
    bound: torch.Tensor,
    guess: torch.Tensor,
) -> None:
    """Lower ``best`` of the queries in leaves ``mine`` by the points of the leaves ``theirs``."""
    asking = queries.points[:, mine]
    gaps = _gaps(
        asking, asking, others.low[:, theirs].unsqueeze(2), others.high[:, theirs].unsqueeze(2)
    )
    new = (theirs.unsqueeze(1) != guess[mine]).all(1)
    useful = (gaps < bound[mine]) & new.unsqueeze(1)
    pair, place = useful.nonzero(as_tuple=True)
    query, leaf = mine[pair] * queries.points.shape[2] + place, theirs[pair]
    flat, size = queries.points.flatten(1), others.points.shape[2]
    rows = _CPU_ROWS if query.device.type == "cpu" else _GPU_ROWS
    for asked, looked in zip(query.split(rows), leaf.split(rows), strict=True):
        total: torch.Tensor | None = None
        for here, there in zip(flat, others.points, strict=True):
            step = there.index_select(0, looked)  # a copy: safe to change in place
            step = step.sub_(here.index_select(0, asked).unsqueeze(1)).square_()
            total = step if total is None else total.add_(step)
        assert total is not None
        nearest, which = total.min(1)
        best.scatter_reduce_(0, asked, _packed(nearest, looked * size + which), "amin")


def _packed(squared: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return (squared.view(torch.int32).long() << 32) | index


def _squared(here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return squared distances. Both tensors hold x, y, z along the first axis and broadcast."""
    total = (here[0] - there[0]).square_()
    for axis in (1, 2):
        total += (here[axis] - there[axis]).square_()
    return total


def _gaps(
    low: torch.Tensor, high: torch.Tensor, other_low: torch.Tensor, other_high: torch.Tensor
) -> torch.Tensor:
    """Return squared distances between boxes, 0 where they overlap. Inputs (3, ...) broadcast."""
    apart = [
        torch.maximum(low[axis] - other_high[axis], other_low[axis] - high[axis])
        for axis in range(3)
    ]
    total = apart[0].clamp_min_(0).square_()
    for other in apart[1:]:
        total += other.clamp_min_(0).square_()
    return total
