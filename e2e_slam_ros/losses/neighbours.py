"""Exact nearest neighbours between two point clouds, in plain torch on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

# Points in a leaf: fewer make more boxes to compare, more make more distances. Measured.
_LEAF = 20
# Leaves under one wide box, the first thing compared.
_WIDE = 8
_MOST_LEAVES = 1 << 13
# How many leaves give each query leaf its first guess, among how many wide boxes' leaves.
_GUESSED = 2
_WIDE_GUESSED = 2
# How many rows of distances are held at once: they should stay in the processor's cache.
_ROWS = 2048
# Pairs of wide boxes opened at once: 64 leaf pairs each.
_OPENED = 16384
_INDEX_BITS = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class PointTree:
    """Points sorted into leaves of equal size, each with its box; coordinates come first.

    Attributes:
        count: number of points, n.
        order: (L * g) int64, which point each place of a leaf holds; the last may repeat.
        points: (3, L, g) float32.
        low, high: (3, L), corners of the leaves' boxes.
        wide_low, wide_high: (3, L / 8), corners of the boxes around eight leaves each.
    """

    count: int
    order: torch.Tensor
    points: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    wide_low: torch.Tensor
    wide_high: torch.Tensor


def build_tree(points: torch.Tensor) -> PointTree:
    """Return the tree of (N, 3) float32 points, N >= 1: halved along the longest side, as k-d.

    Three halvings are one sort, so a cloud of 20 000 takes four sorts of equal rows.
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
    """Return (N,) int64: for each point of ``queries`` the exact nearest point of ``others``.

    A first guess gives each point a distance that the nearest cannot exceed. What is left are
    the boxes that come nearer than that: of eight leaves, then of one leaf, then seen from the
    single point. Nothing nearer can lie elsewhere, so no answer is approximate.
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
    for pairs in opened.split(_OPENED):
        mine, theirs = _leaf_pairs(queries, others, leaf_bound, pairs)
        _improve(best, queries, others, mine, theirs, bound, guess)
    found = torch.empty(queries.count, dtype=torch.int64, device=best.device)
    found[queries.order] = others.order[best & _INDEX_BITS]
    return found


def _first_guess(
    queries: PointTree, others: PointTree
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the few leaves next to each query leaf offer.

    `best` (L * g) holds distance and place in one integer, so that one minimum finds both:
    the bits of a float that is not negative are ordered as the float is. `bound` (L, g) is the
    squared distance, `guess` (L, k) the leaves looked into.
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
    """Return the leaves (P,), (P,) of pairs (W, 2) of wide boxes that are near enough."""
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
    """Lower ``best`` by the points of leaves ``theirs`` for those of ``mine`` they may improve."""
    asking = queries.points[:, mine]
    gaps = _gaps(
        asking, asking, others.low[:, theirs].unsqueeze(2), others.high[:, theirs].unsqueeze(2)
    )
    new = (theirs.unsqueeze(1) != guess[mine]).all(1)
    useful = (gaps < bound[mine]) & new.unsqueeze(1)
    pair, place = useful.nonzero(as_tuple=True)
    query, leaf = mine[pair] * queries.points.shape[2] + place, theirs[pair]
    flat, size = queries.points.flatten(1), others.points.shape[2]
    for asked, looked in zip(query.split(_ROWS), leaf.split(_ROWS), strict=True):
        total: torch.Tensor | None = None
        for here, there in zip(flat, others.points, strict=True):
            step = there.index_select(0, looked)  # a copy, so the rest is done in place
            step = step.sub_(here.index_select(0, asked).unsqueeze(1)).square_()
            total = step if total is None else total.add_(step)
        assert total is not None
        nearest, which = total.min(1)
        best.scatter_reduce_(0, asked, _packed(nearest, looked * size + which), "amin")


def _packed(squared: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return (squared.view(torch.int32).long() << 32) | index


def _squared(here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return squared distances; both hold x, y and z first and broadcast."""
    total = (here[0] - there[0]).square_()
    for axis in (1, 2):
        total += (here[axis] - there[axis]).square_()
    return total


def _gaps(
    low: torch.Tensor, high: torch.Tensor, other_low: torch.Tensor, other_high: torch.Tensor
) -> torch.Tensor:
    """Return squared distances between boxes, 0 where they overlap; (3, ...), broadcast."""
    apart = [
        torch.maximum(low[axis] - other_high[axis], other_low[axis] - high[axis])
        for axis in range(3)
    ]
    total = apart[0].clamp_min_(0).square_()
    for other in apart[1:]:
        total += other.clamp_min_(0).square_()
    return total
