"""Semi-global aggregation against its definition."""

from __future__ import annotations

import torch

from e2e_slam_ros.multiview.semi_global import semi_global


def scan(cost: torch.Tensor, small: float, large: float) -> torch.Tensor:
    """Hirschmueller's recursion along the last dimension of (D, N), one path, word by word."""
    result = cost.clone()
    for n in range(1, cost.shape[1]):
        before = result[:, n - 1]
        for d in range(cost.shape[0]):
            choices = [before[d], before.min() + large]
            choices += [before[d + s] + small for s in (-1, 1) if 0 <= d + s < cost.shape[0]]
            result[d, n] = cost[d, n] + min(choices) - before.min()
    return result


def test_it_is_the_sum_of_four_paths() -> None:
    cost = torch.rand((5, 6, 7), generator=torch.Generator().manual_seed(0))
    expected = torch.zeros_like(cost)
    for y in range(6):
        expected[:, y] += scan(cost[:, y], 0.1, 0.5)
        expected[:, y] += scan(cost[:, y].flip(1), 0.1, 0.5).flip(1)
    for x in range(7):
        expected[:, :, x] += scan(cost[:, :, x], 0.1, 0.5)
        expected[:, :, x] += scan(cost[:, :, x].flip(1), 0.1, 0.5).flip(1)
    assert torch.allclose(semi_global(cost, 0.1, 0.5), expected, atol=1e-5)


def test_pixels_without_a_preference_follow_their_surroundings() -> None:
    cost = torch.full((8, 20, 20), 0.5)
    cost[3, :, :4] = 0.0
    cost[3, :, -4:] = 0.0
    assert (semi_global(cost, 0.1, 1.0).argmin(0) == 3).all()


def test_a_clear_edge_stays_an_edge() -> None:
    cost = torch.full((8, 20, 20), 1.0)
    cost[1, :, :10], cost[6, :, 10:] = 0.0, 0.0
    chosen = semi_global(cost, 0.1, 1.0).argmin(0)
    assert (chosen[:, :10] == 1).all() and (chosen[:, 10:] == 6).all()


def test_one_line_images_are_fine() -> None:
    cost = torch.rand((4, 1, 1), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(semi_global(cost, 0.1, 1.0), 4 * cost)
