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
    down_up = _both_ways(cost.permute(1, 0, 2), small_step, large_step).permute(1, 0, 2)
    right_left = _both_ways(cost.permute(2, 0, 1), small_step, large_step).permute(1, 2, 0)
    return down_up + right_left


def _both_ways(cost: torch.Tensor, small_step: float, large_step: float) -> torch.Tensor:
    """Scan (N, D, M) along N in both directions at once. Return the sum of both scans."""
    lines, planes, width = cost.shape
    both = torch.cat([cost, cost.flip(0)], dim=2)
    # A plane of infinite cost before the first and after the last: all steps are slices.
    result = both.new_full((lines, planes + 2, 2 * width), torch.inf)
    result[0, 1:-1] = both[0]
    best = torch.empty_like(both[0])
    least = best.new_empty(2 * width)
    # Each line depends on the line before. The loop runs over lines, not over pixels.
    for number in range(1, lines):
        bordered = result[number - 1]
        previous = bordered[1:-1]
        torch.amin(previous, 0, out=least)
        torch.minimum(bordered[2:], bordered[:-2], out=best)
        torch.minimum(best.add_(small_step), previous, out=best)
        torch.minimum(best, least + large_step, out=best)
        torch.add(both[number], best.sub_(least), out=result[number, 1:-1])
    scanned = result[:, 1:-1]
    return scanned[..., :width] + scanned[..., width:].flip(0)
