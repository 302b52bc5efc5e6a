"""The separable recurrent unit (eq. 3)."""

from __future__ import annotations

import torch

from e2e_slam_ros.multiview.dro.gru import SeparableGRU


def test_it_is_equation_3() -> None:
    gru = SeparableGRU(hidden=4, inputs=6).double()
    state, inputs = torch.randn(2, 4, 5, 7).double().tanh(), torch.randn(2, 6, 5, 7).double()
    z, r = torch.sigmoid(gru.gates(torch.cat([state, inputs], 1))).chunk(2, 1)
    candidate = torch.tanh(gru.candidate(torch.cat([r * state, inputs], 1)))
    expected = (1 - z) * state + z * candidate
    assert torch.allclose(gru(state, inputs), expected, atol=1e-12)


def test_its_convolutions_are_a_row_and_a_column_of_five() -> None:
    gru = SeparableGRU(hidden=4, inputs=6)
    sizes = [tuple(p.shape) for p in gru.parameters() if p.dim() == 4]
    assert sizes == [(8, 10, 1, 5), (8, 8, 5, 1), (4, 10, 1, 5), (4, 4, 5, 1)]


def test_one_step_sees_five_by_five_pixels() -> None:
    gru = SeparableGRU(hidden=1, inputs=1)
    inputs = torch.zeros(1, 1, 11, 11, requires_grad=True)
    gru(torch.zeros(1, 1, 11, 11), inputs)[0, 0, 5, 5].backward()
    assert inputs.grad is not None
    seen = inputs.grad[0, 0] != 0
    assert seen[3:8, 3:8].all() and seen.sum() == 25


def test_the_state_stays_in_its_range() -> None:
    gru = SeparableGRU(hidden=4, inputs=4)
    state = torch.zeros(1, 4, 6, 6)
    for _ in range(50):
        state = gru(state, 100.0 * torch.randn(1, 4, 6, 6))
    assert state.abs().max() <= 1.0
