"""Semi-global matching: cost aggregation along image rows and columns."""

from __future__ import annotations

import torch


def semi_global(cost: torch.Tensor, small_step: float, large_step: float) -> torch.Tensor:
    """Return (D, H, W) costs aggregated along four directions (Hirschmueller 2008, eq. 13).

    Between neighbouring pixels, a step of one plane costs ``small_step`` and a larger step costs
    ``large_step``. Surfaces without texture therefore take the depth of their surroundings.

    Args:
        cost: (D, H, W), lower is better.
        small_step: penalty of a step of one plane, in units of ``cost``.
        large_step: penalty of a larger step.

    >>> cost = torch.ones(2, 1, 5)
    >>> cost[1, 0, 0] = 0.0  # only the first pixel has texture: it lies on plane 1
    >>> semi_global(cost, 0.3, 4.0).argmin(0)
    tensor([[1, 1, 1, 1, 1]])
    """
    down_up = _both_ways(cost.transpose(0, 1), small_step, large_step)
    right_left = _both_ways(cost.permute(2, 0, 1).contiguous(), small_step, large_step)
    return down_up.transpose(0, 1) + right_left.permute(1, 2, 0)


def _both_ways(cost: torch.Tensor, small_step: float, large_step: float) -> torch.Tensor:
    """Scan (N, D, M) along N in both directions at once. Return the sum of both scans."""
    lines, planes, width = cost.shape
    total = torch.zeros_like(cost, memory_format=torch.contiguous_format)
    # Python's indices cost as much time as a sum over a line.
    costs, totals = cost.unbind(), total.unbind()
    # A tensor: a number would be converted to one at every call.
    small = cost.new_tensor(small_step)
    # The last line of both scans. A plane of infinite cost before the first and after the last
    # makes all steps slices.
    bordered = cost.new_full((2, planes + 2, width), torch.inf)
    nearer, last, farther = bordered[:, :-2], bordered[:, 1:-1], bordered[:, 2:]
    (down, up), least = last.unbind(), cost.new_empty((2, 1, width))
    step = cost.new_zeros((2, planes, width))
    step_down, step_up = step.unbind()
    # Each line depends on the line before. The loop runs over lines, not over pixels.
    for number in range(lines):
        if number > 0:
            last.sub_(torch.amin(last, 1, keepdim=True, out=least))
            torch.minimum(nearer, farther, out=step).add_(small)
            torch.minimum(step, last, out=step).clamp_max_(large_step)
        torch.add(costs[number], step_down, out=down)
        torch.add(costs[-1 - number], step_up, out=up)
        totals[number].add_(down)
        totals[-1 - number].add_(up)
    return total
