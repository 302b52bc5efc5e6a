"""What the tasks that learn from clips of rendered rooms have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
from e2e_slam_ros.training.deepv2d.clip_set import ClipSet
from e2e_slam_ros.training.objectives.terms import LossTerms
from e2e_slam_ros.training.rendering import render_missing
from e2e_slam_ros.training.task import RunContext, Task


class ClipMeasure(Protocol):
    """Figures on clips that are not trained on.

    >>> from e2e_slam_ros.training.deepv2d.validation import ClipValidation
    >>> hasattr(ClipValidation, "measure")  # fulfils the protocol
    True
    """

    clips: ClipSet

    def measure(self, network: Any, device: torch.device) -> dict[str, float]:
        """Return figures of the result of the training."""
        ...


class ClipTask(Task[ClipBatch]):
    """A task whose trained module takes a batch of clips and the name of the stage.

    >>> from e2e_slam_ros.training.registry import task_type
    >>> issubclass(task_type("coopnet"), ClipTask)
    True
    """

    _context: RunContext
    _validation: ClipMeasure | None = None

    def forward(self, trained: nn.Module, batch: ClipBatch, stage: str) -> LossTerms:
        """Return the loss of a batch."""
        terms: LossTerms = trained(batch, stage)
        return terms

    def validate(self, result: nn.Module) -> dict[str, float]:
        """Return errors on the validation rooms."""
        if self._validation is None:
            return {}
        return self._validation.measure(result, self._context.device)

    def _rendered(
        self,
        config: ClipConfig,
        held_out: int,
        validation: Callable[[], ClipMeasure],
        processes: int,
        in_memory: bool,
    ) -> ClipSet:
        """Return the clips to learn from and keep those of validation; render what is missing.

        Args:
            held_out: number of clips of validation; 0: none.
            validation: makes it; called in the first process alone.
            processes: how many render.
            in_memory: keep clips that were read.
        """
        clips, context = ClipSet(config, in_memory), self._context
        render_missing(clips, "rooms", context, processes)
        if context.group.is_first and held_out:
            self._validation = validation()
            held_out_clips = self._validation.clips
            render_missing(held_out_clips, "rooms of validation", context, processes)
        return clips
