"""Which stage a step belongs to, and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from e2e_slam_ros.training.config import StageConfig, TrainConfig


@dataclass(frozen=True)
class TrainingStage:
    """A stage of a run: steps ``first`` to ``last`` - 1 of the whole run.

    >>> TrainingStage("first", StageConfig(steps=100, warmup_steps=10), 0, 100).learning_rate(9)
    0.0005
    """

    name: str
    config: StageConfig
    first: int
    last: int

    def learning_rate(self, step: int) -> float:
        """Return the rate of a step: up in a line, then down along half a cosine."""
        peak, floor = self.config.learning_rate, self.config.final_rate
        at = step - self.first
        length = self.last - self.first
        warmup = min(self.config.warmup_steps, length // 2)
        if at < warmup:
            return peak * (at + 1) / warmup
        progress = (at - warmup) / max(length - warmup, 1)
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def stage_configs(config: TrainConfig) -> dict[str, StageConfig]:
    """Return the stages of a configuration by name, in order, those without steps too."""
    named = {item.name: getattr(config, item.name) for item in fields(config)}
    return {name: value for name, value in named.items() if isinstance(value, StageConfig)}


def stages_of(config: TrainConfig) -> list[TrainingStage]:
    """Return the stages that have steps, in order."""
    found: list[TrainingStage] = []
    first = 0
    for name, stage in stage_configs(config).items():
        if stage.steps > 0:
            found.append(TrainingStage(name, stage, first, first + stage.steps))
            first += stage.steps
    return found
