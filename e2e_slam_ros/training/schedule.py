"""Which stage a step belongs to, and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.stage_config import StageConfig

PRETRAINING, SELF_SUPERVISION = "pretraining", "self_supervision"


@dataclass(frozen=True)
class Stage:
    """A stage of a run: steps ``first`` to ``last`` - 1 of the whole run."""

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


def stages_of(config: TrainConfig) -> list[Stage]:
    """Return the stages that have steps, in order."""
    found: list[Stage] = []
    first = 0
    for name, stage in (
        (PRETRAINING, config.pretraining),
        (SELF_SUPERVISION, config.self_supervision),
    ):
        if stage.steps > 0:
            found.append(Stage(name, stage, first, first + stage.steps))
            first += stage.steps
    return found
