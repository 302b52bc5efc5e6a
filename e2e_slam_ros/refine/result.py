"""The result of a refinement, and the words for the reason it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch


class _PrintedReason(str, Enum):
    """Reasons that print as their text on every Python version."""

    def __str__(self) -> str:
        return str(self.value)


class Refusal(_PrintedReason):
    """The reason that a keyframe was not refined.

    Example:
        >>> str(Refusal.IMAGE_BLACK)
        'image black'
    """

    NO_STEPS = "no steps"
    NO_SOURCES = "no sources"
    NO_NETWORK_DEPTH = "network depth not finite"
    POSE_NOT_FINITE = "pose not finite"
    IMAGE_BLACK = "image black"
    IMAGE_SATURATED = "image saturated"
    IMAGE_CONSTANT = "image constant"
    SAME_IMAGE = "source identical to target"
    SMALL_PARALLAX = "parallax too small"
    DEPTH_SATURATED = "depth saturated"
    FEW_PIXELS = "too few valid pixels"
    OUT_OF_MEMORY = "out of memory"


class StopReason(_PrintedReason):
    """The reason that a refinement ended.

    Example:
        >>> StopReason.LOSS_ROSE in ROLLED_BACK, str(StopReason.CONVERGED)
        (True, 'loss stopped falling')
    """

    STEPS_DONE = "steps done"
    CONVERGED = "loss stopped falling"
    LOSS_ROSE = "rolled back: loss rose"
    HELD_BACK_ROSE = "rolled back: held-back pixels got worse"
    NOT_FINITE = "rolled back: loss not finite"
    REFUSED = "refused"


ROLLED_BACK = (StopReason.LOSS_ROSE, StopReason.HELD_BACK_ROSE, StopReason.NOT_FINITE)


@dataclass(frozen=True, eq=False)
class LearnedWeights:
    """A network's state after one keyframe.

    Attributes:
        weights: copies of the adapted parameters, by name.
        optimiser: state of the optimiser, as its ``state_dict`` returns it.

    Example:
        >>> list(LearnedWeights({"bias": torch.zeros(1)}, {}).weights)
        ['bias']
    """

    weights: Mapping[str, torch.Tensor]
    optimiser: dict[str, Any]


@dataclass(frozen=True, eq=False)
class RefineOutcome:
    """One keyframe's refinement.

    Attributes:
        depth: (1, 1, H, W) metres at the keyframe's size; D_0 itself if nothing was changed.
        trace: (steps + 1, 6) on the CPU, the loss terms (`objective.TERMS`) before each step and
            after the last; empty where refused.
        held_back: (steps + 1,) on the CPU, the held-back pixels' error beside it.
        best: row of the trace that ``depth`` belongs to.
        steps_done: updates made, whether kept or not.
        stopped: the reason that it ended.
        refused: the reason that it did not begin, or None.
        seconds: wall-clock time.
        notice: a message for the user, given once by each refiner; or None.
        learned: new weights, which the refiner takes over by `Refiner.keep`; or None.

    Example:
        >>> outcome = refusal(torch.ones(1, 1, 6, 8), Refusal.NO_SOURCES)
        >>> outcome.changed, outcome.first_total is None
        (False, True)
    """

    depth: torch.Tensor
    trace: torch.Tensor
    held_back: torch.Tensor
    best: int
    steps_done: int
    stopped: StopReason
    refused: Refusal | None
    seconds: float
    notice: str | None = None
    learned: LearnedWeights | None = None

    @property
    def changed(self) -> bool:
        """Whether ``depth`` differs from D_0."""
        return self.refused is None and self.best > 0

    @property
    def first_total(self) -> float | None:
        """The total loss of D_0; None where refused."""
        return float(self.trace[0].sum()) if self.trace.shape[0] else None

    @property
    def best_total(self) -> float | None:
        """The total loss of ``depth``; None where refused."""
        return float(self.trace[self.best].sum()) if self.trace.shape[0] else None


def refusal(depth: torch.Tensor, reason: Refusal, seconds: float = 0.0) -> RefineOutcome:
    """Return the outcome of a refused keyframe: its depth is D_0."""
    return RefineOutcome(
        depth, torch.zeros((0, 6)), torch.zeros(0), 0, 0, StopReason.REFUSED, reason, seconds
    )
