"""Semi-global matching: cost aggregation along image rows and columns."""

from __future__ import annotations

import torch
from torch.nn import functional


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
    rows, columns = cost.permute(1, 2, 0), cost.permute(2, 1, 0)
    down_up = _both_ways(rows, small_step, large_step).permute(2, 0, 1)
    right_left = _both_ways(columns, small_step, large_step).permute(2, 1, 0)
    return down_up + right_left


def _both_ways(cost: torch.Tensor, small_step: float, large_step: float) -> torch.Tensor:
    """Scan (N, M, D) along N in both directions at once. Return the sum of both scans."""
    lines = cost.shape[1]
    both = torch.cat([cost, cost.flip(0)], dim=1).contiguous()
    result = torch.empty_like(both)
    previous = result[0] = both[0]
    # Each line depends on the line before. The loop runs over lines, not over pixels.
    for number in range(1, both.shape[0]):
        least = previous.amin(1, keepdim=True)
        bordered = functional.pad(previous, (1, 1), value=float("inf"))
        step = torch.minimum(bordered[:, 2:], bordered[:, :-2]) + small_step
        best = torch.minimum(torch.minimum(previous, step), least + large_step)
        previous = result[number] = both[number] + (best - least)
    return result[:, :lines] + result[:, lines:].flip(0)
