"""Completing an image from what is known."""

from __future__ import annotations

import torch

from e2e_slam_ros.multiview.fill import fill


def test_what_is_known_well_is_kept() -> None:
    values = torch.rand((1, 1, 33, 47), generator=torch.Generator().manual_seed(0)) + 1
    filled, evidence = fill(values, torch.ones_like(values))
    assert (filled - values).abs().max() < 0.02
    assert torch.allclose(evidence, torch.ones_like(evidence))


def test_a_constant_spreads_from_a_single_pixel() -> None:
    values = torch.zeros((1, 1, 40, 60))
    weight = torch.zeros_like(values)
    values[0, 0, 7, 9], weight[0, 0, 7, 9] = 2.5, 1.0
    filled, evidence = fill(values, weight)
    assert torch.allclose(filled, torch.tensor(2.5), rtol=1e-4)
    assert evidence[0, 0, 7, 9] > 0 == evidence[0, 0, -1, -1]


def test_holes_take_the_value_of_what_is_near() -> None:
    values = torch.ones((1, 1, 32, 64))
    values[..., 32:] = 3.0
    weight = torch.ones_like(values)
    weight[..., 10:20, 5:15] = 0.0
    weight[..., 10:20, 45:55] = 0.0
    filled, _ = fill(values, weight)
    assert (filled[..., 10:20, 5:15] - 1.0).abs().max() < 0.1
    assert (filled[..., 10:20, 45:55] - 3.0).abs().max() < 0.1


def test_nothing_known_gives_zeros() -> None:
    filled, evidence = fill(torch.full((1, 1, 9, 5), 7.0), torch.zeros((1, 1, 9, 5)))
    assert (filled == 0).all() and (evidence == 0).all()
