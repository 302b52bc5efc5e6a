"""The interface of the two refinement strategies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.refine.descent import Descent
from e2e_slam_ros.refine.result import LearnedWeights
from e2e_slam_ros.refine.views import RefineViews


@dataclass(frozen=True, eq=False)
class RefineAttempt:
    """One run of a strategy.

    Attributes:
        depth: (1, 1, H, W) metres; the depth of the views if nothing was changed.
        course: course of the descent.
        learned: new weights of the network; None: nothing was learned.

    Example:
        >>> from e2e_slam_ros.refine.result import StopReason
        >>> trace, held_back = torch.tensor([[3.0], [1.0]]), torch.zeros(2)
        >>> course = Descent(trace, held_back, best=1, steps_done=1, stopped=StopReason.STEPS_DONE)
        >>> RefineAttempt(torch.ones(1, 1, 6, 8), course).learned is None
        True
    """

    depth: torch.Tensor
    course: Descent
    learned: LearnedWeights | None = None


class RefineStrategy(Protocol):
    """Corrects depth by minimising a loss."""

    @property
    def changes_source(self) -> bool:
        """Whether learned weights change the depth source's later answers."""
        ...

    def run(self, views: RefineViews, config: RefineConfig, width_factor: float) -> RefineAttempt:
        """Return the corrected depth; changes no state."""
        ...

    def keep(self, learned: LearnedWeights) -> None:
        """Take over the weights that `run` learned."""
        ...

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the adapted weights; empty if nothing is learned."""
        ...

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up saved weights; raise `DepthError` if they do not fit."""
        ...

    def reset(self) -> None:
        """Go back to the first weights."""
        ...
