"""The running mean of a network's weights, which is smoother than the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import nn

# The mean spans about the last twentieth of a short run, and 1 / (1 - decay) steps of a long one.
_RAMP_STEPS = 20


class WeightAverage:
    """A copy of a module that follows it: parameters and norm statistics.

    Attributes:
        module: the mean, in evaluation mode; with ``decay`` 0 equal to the module.

    >>> layer = nn.Linear(1, 1)
    >>> average = WeightAverage(layer, decay=0.9)
    >>> average.update(layer, step=0)
    >>> bool(torch.equal(average.module.weight, layer.weight))
    True
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the mean towards the weights after step ``step`` (0 = the first)."""
        decay = min(self._decay, (step + 1) / (step + _RAMP_STEPS)) if self._decay > 0 else 0.0
        mine, theirs = self.module.state_dict(), module.state_dict()
        floating = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [mine[name] for name in floating], [theirs[name] for name in floating], 1.0 - decay
        )
        for name, value in mine.items():
            if not value.is_floating_point():
                value.copy_(theirs[name])
