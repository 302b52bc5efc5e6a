"""Settings that every training run has; the configuration of a task adds its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from e2e_slam_ros.config.leaf import Settings, get_leaf, leaf

AnyConfig = TypeVar("AnyConfig", bound="TrainConfig")


@dataclass(frozen=True)
class StageConfig:
    """One part of a run: its length, batches and learning rate.

    >>> StageConfig(steps=100).batch_size
    8
    """

    steps: int = leaf(0, "optimiser steps; 0 leaves the stage out", low=0)
    batch_size: int = leaf(8, "images (pairs) a step, of each process", low=1)
    learning_rate: float = leaf(5e-4, "peak learning rate", low=0.0, high=1.0)
    warmup_steps: int = leaf(100, "steps in which the rate rises from 0", low=0)
    final_rate: float = leaf(
        0.02, "rate at the end of the cosine over the peak rate", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW.

    >>> OptimiserConfig(clip_norm=0.5).clip_norm
    0.5
    """

    weight_decay: float = leaf(1e-4, "decoupled weight decay", low=0.0)
    beta_1: float = leaf(0.9, "decay of the mean gradient", low=0.0, high=0.9999)
    beta_2: float = leaf(0.99, "decay of the mean squared gradient", low=0.0, high=0.99999)
    encoder_rate: float = leaf(0.3, "learning rate of the encoder over that of the rest", low=0.0)
    clip_norm: float = leaf(1.0, "longest gradient; longer ones are shortened", low=1e-6)
    ema: float = leaf(
        0.995,
        "decay of the running mean of the weights, which is what is evaluated and saved; 0 off",
        low=0.0,
        high=0.99999,
    )


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Settings of the training loop. Immutable; `with_values` makes changed copies.

    The configuration of a task derives from this class. Each of its fields that is a
    `StageConfig` is a stage of the run; stages follow one another in the order of the fields.

    Attributes:
        free_on_resume: beginnings of the names that may differ when a run is continued: they
            change how the run is watched, not its result.
        paths: names of the settings that are paths, or lists of paths separated by commas.

    >>> TrainConfig().with_assignments(["optimiser.ema=0.9"]).optimiser.ema
    0.9
    """

    called: ClassVar[str] = "training setting"
    where: ClassVar[str] = "start from what --print-config prints"
    free_on_resume: ClassVar[tuple[str, ...]] = (
        "threads",
        "prefetch",  # and prefetch_threads
        "checkpoint_every",
        "evaluate_every",
        "log_every",
        "pictures_every",
        "tensorboard",
    )
    paths: ClassVar[tuple[str, ...]] = ()

    seed: int = leaf(0, "of weights, data and their order", low=0)
    device: str = leaf("auto", "auto, cpu, cuda or cuda:N")
    amp: str = leaf(
        "auto",
        "reduced precision of the networks; auto: bf16 (or fp16) on a GPU, off on a CPU",
        choices=("auto", "off", "bf16", "fp16"),
    )
    threads: int = leaf(1, "CPU threads of a process; 0 leaves the choice to torch", low=0)
    prefetch: int = leaf(1, "batches prepared ahead, in further threads; 0 none", low=0, high=64)
    prefetch_threads: int = leaf(1, "threads that prepare batches", low=1, high=64)
    checkpoint_every: int = leaf(200, "steps between two saved states", low=1)
    evaluate_every: int = leaf(200, "steps between two validations", low=1)
    log_every: int = leaf(20, "steps that a line of metrics.jsonl is the mean of", low=1)
    pictures_every: int = leaf(200, "steps between two sets of TensorBoard pictures", low=1)
    tensorboard: str = leaf(
        "auto", "auto: written where tensorboard is installed", choices=("auto", "on", "off")
    )
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def without_folders(self: AnyConfig) -> AnyConfig:
        """Return a copy whose paths are cut to their last names: the rest is one machine's."""
        values: dict[str, object] = {}
        for name in self.paths:
            text = str(get_leaf(self, name))
            values[name] = ",".join(Path(part.strip()).name for part in text.split(","))
        return self.with_values(values)

    def differences(self, other: TrainConfig) -> list[str]:
        """Return the names whose values decide the result and differ."""
        return [
            info.name
            for info in self.settings()
            if not info.name.startswith(self.free_on_resume)
            and get_leaf(self, info.name) != get_leaf(other, info.name)
        ]
