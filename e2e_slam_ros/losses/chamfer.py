"""The distance between two point clouds (paper eq. 5)."""

from __future__ import annotations

import torch

from e2e_slam_ros.losses.neighbours import PointTree, build_tree, nearest_in_tree

_NOWHERE_M = 1e6


def nearest(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return (N,) int64: the exact nearest of (M, 3) ``others`` for each of (N, 3) ``points``.

    Exact to the rounding of single precision around the others' centre. M >= 1. A point that is
    not finite gets some index and is, if there are others, nobody's neighbour.
    """
    if points.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=points.device)
    return nearest_in_tree(*_trees(points, others))


def chamfer(
    local: torch.Tensor, reference: torch.Tensor, limit_m: float | None = None
) -> torch.Tensor:
    """Return the symmetric Chamfer distance, a scalar in square metres (paper eq. 5).

    The mean squared distance of each local point to the reference plus that of each reference
    point to the local cloud. Means instead of eq. 5's sums, so that the weight of this term does
    not depend on how many points are taken. Both clouds are in the same frame, and the reference
    is only what the local view could have seen (`in_view`): the rest would pull without reason.

    Args:
        local: (N, 3) metres; gradients flow to it.
        reference: (M, 3) metres; gradients flow where it requires them.
        limit_m: a distance beyond it costs as much as the limit and pulls no more. A view of
            something new would otherwise be drawn to the border of the map.

    Returns:
        A scalar; 0 with gradients 0 when either cloud is empty.
    """
    if local.shape[0] == 0 or reference.shape[0] == 0:
        return local[:0].sum() + reference[:0].sum()
    mine, theirs = _trees(local, reference)
    forward, backward = nearest_in_tree(mine, theirs), nearest_in_tree(theirs, mine)
    # index_select, because the gradient of indexing with [] is several times slower.
    out = (local - reference.index_select(0, forward)).square().sum(1)
    back = (reference - local.index_select(0, backward)).square().sum(1)
    if limit_m is not None:
        out, back = out.clamp_max(limit_m**2), back.clamp_max(limit_m**2)
    return out.mean() + back.mean()


@torch.no_grad()
def _trees(points: torch.Tensor, others: torch.Tensor) -> tuple[PointTree, PointTree]:
    # Around a common centre single precision loses nothing far from the origin.
    centre = torch.where(torch.isfinite(others), others, torch.zeros_like(others)).mean(0)
    return _tree(points - centre), _tree(others - centre)


def _tree(centred: torch.Tensor) -> PointTree:
    # A point that is no point goes where it is nobody's neighbour and spoils no box.
    return build_tree(centred.float().nan_to_num(_NOWHERE_M, _NOWHERE_M, -_NOWHERE_M))
