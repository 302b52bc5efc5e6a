"""The recurrent unit (DRO eq. 3)."""

from __future__ import annotations

import torch
from torch import nn


class SeparableGRU(nn.Module):
    """Convolutional GRU whose 5x5 convolutions are a row of 5 and a column of 5 (eq. 3).

    Args:
        hidden: channels of the state.
        inputs: channels of the input M.

    >>> gru = SeparableGRU(hidden=8, inputs=12)
    >>> gru(torch.zeros(1, 8, 6, 6), torch.zeros(1, 12, 6, 6)).shape
    torch.Size([1, 8, 6, 6])
    """

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self._hidden = hidden
        # The gates z and r see the same input and share a pass.
        self.gates = _separable(hidden + inputs, 2 * hidden)
        self.candidate = _separable(hidden + inputs, hidden)

    def forward(self, state: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return the next state (B, hidden, h, w).

        Args:
            state: (B, hidden, h, w).
            inputs: (B, inputs, h, w).
        """
        update, reset = self.gates(torch.cat([state, inputs], 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat([reset * state, inputs], 1)).tanh()
        # Under autocast the convolutions answer in fewer digits; the state keeps its own.
        return torch.lerp(state, candidate.to(state.dtype), update.to(state.dtype))


def _separable(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, (1, 5), padding=(0, 2)),
        nn.Conv2d(channels_out, channels_out, (5, 1), padding=(2, 0)),
    )
