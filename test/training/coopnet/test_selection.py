"""Pixels by the sign of Delta, and near its mode."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.training.coopnet.selection import mode_of, select_by_sign, select_near_mode


def errors(lead: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Delta of 9000 still pixels around a lead, 700 moving ones and 300 where flow fails."""
    generator = torch.Generator().manual_seed(0)
    still = lead + 0.02 * torch.randn(9000, generator=generator)
    moving = lead + 0.4 + 0.1 * torch.rand(700, generator=generator)
    failed = lead - 0.3 - 0.1 * torch.rand(300, generator=generator)
    delta = torch.cat([still, moving, failed]).view(1, 1, 100, 100)
    kind = torch.cat([torch.zeros(9000), torch.ones(700), 2 * torch.ones(300)])
    return delta, kind.view(1, 1, 100, 100), torch.ones_like(delta) > 0


@pytest.mark.parametrize("lead", [-0.1, 0.0, 0.1, 0.3])
def test_a_lead_of_flow_does_not_change_the_selection_near_the_mode(lead: float) -> None:
    delta, kind, valid = errors(lead)
    chosen = select_near_mode(delta, valid, eta=0.5)
    assert chosen.depth[kind == 0].float().mean() > 0.95
    assert not chosen.depth[kind > 0].any()
    assert chosen.flow.all()


def test_by_sign_a_lead_of_flow_takes_all_of_depths_pixels() -> None:
    shares = []
    for lead in (0.0, 0.02, 0.1):
        delta, kind, valid = errors(lead)
        shares.append(float(select_by_sign(delta, valid).depth[kind == 0].float().mean()))
    assert shares[0] == pytest.approx(0.5, abs=0.03)
    assert shares[1] < 0.2 and shares[2] == 0.0
    failed = select_by_sign(*errors(0.1)[::2]).depth[errors(0.1)[1] == 2]
    assert failed.all()  # what is left to depth is where flow fails


def test_invalid_pixels_teach_nothing() -> None:
    delta, _, valid = errors(0.1)
    valid = valid.clone()
    valid[..., :50] = False
    for chosen in (select_by_sign(delta, valid), select_near_mode(delta, valid, 0.5)):
        assert not chosen.depth[..., :50].any() and not chosen.flow[..., :50].any()
    none = select_near_mode(delta, valid & False, 0.5)
    assert not none.depth.any()


@pytest.mark.parametrize("count", [0, 1, 5, 5000])
def test_the_mode_of_few_or_equal_values_is_their_mean(count: int) -> None:
    mode, deviation = mode_of(torch.full((count,), 0.25))
    assert float(mode) == pytest.approx(0.25 if count else 0.0)
    assert float(deviation) == pytest.approx(0.0, abs=1e-6)


def test_the_mode_of_a_skewed_sample_is_not_its_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.empty(50_000).log_normal_(0.0, 0.7, generator=generator)
    mode, _ = mode_of(values)
    assert float(mode) == pytest.approx(0.613, abs=0.08)  # exp(-0.49); the mean is 1.28
