"""A second task, as small as one can be: how far one view is shifted against the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.depth.weights_file import write_weights
from e2e_slam_ros.training.config import StageConfig, TrainConfig
from e2e_slam_ros.training.objectives.terms import LossTerms, weighted_terms
from e2e_slam_ros.training.task import RunContext, Task, TaskModules

_WIDTH = 32


@dataclass(frozen=True, eq=False)
class ShiftBatch:
    """Views (B, 2, W) of a line, and the second one's shift (B, 1), pixels."""

    views: torch.Tensor
    shift: torch.Tensor

    def __len__(self) -> int:
        return len(self.views)

    def to(self, device: torch.device | str) -> ShiftBatch:
        return ShiftBatch(self.views.to(device), self.shift.to(device))


def shifted_views(count: int, seed: int) -> ShiftBatch:
    generator = torch.Generator().manual_seed(seed)
    shift = 2.0 * torch.rand(count, 1, generator=generator) - 1.0
    at = torch.arange(_WIDTH, dtype=torch.float32).expand(count, _WIDTH)
    phase = 0.3 * torch.rand(count, 1, generator=generator)
    views = [torch.sin(0.4 * x + phase) for x in (at, at + shift)]
    return ShiftBatch(torch.stack(views, 1), shift)


@dataclass(frozen=True)
class ShiftedViews:
    """A `BatchSource`."""

    count: int
    seed: int

    def batch(self, step: int, rank: int) -> ShiftBatch:
        return shifted_views(self.count, 100_000 * self.seed + 1000 * rank + step)


def _coarse() -> StageConfig:
    return StageConfig(steps=4, batch_size=16, learning_rate=1e-2, warmup_steps=1)


@dataclass(frozen=True)
class ToyConfig(TrainConfig):
    """Two stages and one setting of its own."""

    width: int = leaf(16, "units of the hidden layer", low=1)
    coarse: StageConfig = field(default_factory=_coarse)
    fine: StageConfig = field(default_factory=StageConfig)


class ShiftNet(nn.Module):
    """A layer with batch norm, whose statistics must be resumed too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2 * _WIDTH, width), nn.BatchNorm1d(width))
        self.head = nn.Linear(width, 1)

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.encoder(views.flatten(1))))


class ToyTask(Task[ShiftBatch]):
    config_type = ToyConfig
    terms = ("coarse_error", "fine_error")
    best_by = "error"
    config: ToyConfig
    name = "shift_net"

    def __init__(self, config: ToyConfig, context: RunContext) -> None:
        self.config, self._context = config, context

    def build_modules(self, fresh: bool) -> TaskModules:
        network = ShiftNet(self.config.width)
        return TaskModules(network.train(), network, network.encoder)

    def build_data(self) -> Mapping[str, ShiftedViews]:
        stages = {"coarse": self.config.coarse, "fine": self.config.fine}
        return {n: ShiftedViews(s.batch_size, self.config.seed) for n, s in stages.items()}

    def forward(self, trained: nn.Module, batch: ShiftBatch, stage: str) -> LossTerms:
        error = trained(batch.views) - batch.shift
        value = error.abs().mean() if stage == "coarse" else error.square().mean()
        return weighted_terms({f"{stage}_error": value}, {f"{stage}_error": 1.0}, len(batch))

    @torch.inference_mode()
    def validate(self, result: nn.Module) -> dict[str, float]:
        batch = shifted_views(64, 999_999).to(self._context.device)
        return {"error": float((result(batch.views) - batch.shift).abs().mean())}

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        write_weights(path, result.state_dict(), {**facts, "architecture": self.name})
