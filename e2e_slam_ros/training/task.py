"""The interface between the training loop and a method of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import nn

from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.distributed import Group
from e2e_slam_ros.training.objectives.terms import LossTerms
from e2e_slam_ros.training.precision import Precision


class Batch(Protocol):
    """Samples of one step, as a task likes them; ``len`` counts the samples."""

    def __len__(self) -> int: ...

    def to(self: AnyBatch, device: torch.device | str) -> AnyBatch:
        """Return the batch on another device."""
        ...


AnyBatch = TypeVar("AnyBatch", bound=Batch)
BatchOut = TypeVar("BatchOut", bound=Batch, covariant=True)


class BatchSource(Protocol[BatchOut]):
    """Where batches come from: the same batch for the same arguments, always.

    >>> from e2e_slam_ros.training.data.batch_sampler import BatchSampler
    >>> hasattr(BatchSampler, "batch")  # fulfils the protocol
    True
    """

    def batch(self, step: int, rank: int) -> BatchOut:
        """Return the batch of one process (``rank``) for one step of the run, on the CPU."""
        ...


@dataclass(frozen=True)
class RunContext:
    """Where and how a run trains.

    Attributes:
        group: the processes that train together.
        device: of this process.
        precision: of the networks.
        say: tells the user a sentence; silent in all but the first process.
        progress: show bars.

    >>> context = RunContext(Group(), torch.device("cpu"), Precision("cpu", None), print, False)
    >>> context.group.is_first
    True
    """

    group: Group
    device: torch.device
    precision: Precision
    say: Callable[[str], None]
    progress: bool


@dataclass(frozen=True, eq=False)
class TaskModules:
    """The networks of a task.

    Attributes:
        trained: holds every parameter that may learn, in the modes (``train``, ``eval``,
            ``requires_grad``) that it is trained in.
        result: the part of ``trained``, or all of it, that is validated and exported; the loop
            keeps a running mean of its weights.
        encoder: the part of ``trained`` that learns at ``optimiser.encoder_rate``, or None.

    >>> network = nn.Linear(1, 1)
    >>> TaskModules(trained=network, result=network).encoder is None
    True
    """

    trained: nn.Module
    result: nn.Module
    encoder: nn.Module | None = None


class Task(Protocol[AnyBatch]):
    """One method of training. Derive from this class and register it in `registry.TASKS`.

    The loop owns steps, learning rates, the optimiser, the running mean, saved states, logs and
    signals. It calls, in this order: the constructor, `build_modules`, `build_data`, then for
    each step `forward` and `check`, and from time to time `pictures`, `validate` and `export`.

    Attributes:
        config_type: the class of the settings; it derives from `TrainConfig`.
        terms: the name of every part that `forward` can report, in the order of the logs.
        best_by: the figure of `validate` by which the best weights are chosen, smaller is
            better; empty: none are chosen.
        config: the settings.

    Args:
        config: the settings, of ``config_type``.

    >>> from e2e_slam_ros.training.registry import task_type
    >>> task_type("sc-sfm").best_by
    'median_scaled.abs_rel'
    """

    config_type: ClassVar[type[TrainConfig]]
    terms: ClassVar[Sequence[str]]
    best_by: ClassVar[str] = ""
    config: TrainConfig

    def __init__(self, config: Any, context: RunContext) -> None: ...

    @property
    def name(self) -> str:
        """The name of the trained network, for messages: "efficientnet_lite0"."""
        ...

    def build_modules(self, fresh: bool) -> TaskModules:
        """Return the networks, the same in every process.

        Args:
            fresh: the run begins; else a saved state replaces all weights.

        Raises:
            TrainingError: initial weights are missing or do not fit.
        """
        ...

    def build_data(self) -> Mapping[str, BatchSource[AnyBatch]]:
        """Return a source of batches by the name of each stage that has steps.

        The first process calls it before the others do: it may prepare files for all. It also
        reads the validation data, so that an error in them is found before the first step.

        Raises:
            E2ESlamError: data are missing or cannot be read.
        """
        ...

    def forward(self, trained: nn.Module, batch: AnyBatch, stage: str) -> LossTerms:
        """Return the loss of a batch.

        Args:
            trained: as in `TaskModules`.
            batch: on the device of the run.

        Returns:
            The terms. ``total`` depends on a parameter even where nothing can be learnt from the
            batch: other processes wait for its gradient.
        """
        ...

    def validate(self, result: nn.Module) -> Mapping[str, float]:
        """Return figures by name, measured on data that is not trained on; empty without any.

        Only the first process calls it. ``result`` is the running mean, in evaluation mode.
        """
        ...

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the weights as a safetensors file with its facts.

        Args:
            facts: texts for the file's metadata, from which a model card is written: recipe,
                seed, steps, code, machine and validation figures.
        """
        ...

    def check(self, stage: str, terms: Mapping[str, float]) -> None:
        """Refuse to go on after a step whose terms show that nothing is learnt.

        Args:
            terms: means over the processes; every process gets the same.

        Raises:
            TrainingError: ends the run.
        """

    def pictures(self, result: nn.Module, batch: AnyBatch) -> Mapping[str, torch.Tensor]:
        """Return pictures for TensorBoard by title, (3, H, W) in [0, 1], of a batch on the CPU."""
        return {}
