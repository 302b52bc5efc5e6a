"""A scene that is known exactly, small enough to train on in a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig

SIZE = 64


def wall_batch(count: int, seed: int, *, shift: float = 0.1) -> PairBatch:
    """Pairs of views of a textured wall: bright is near, the second camera is to the right."""
    generator = torch.Generator().manual_seed(seed)
    distance = 1.0 + 3.0 * torch.rand(count, 1, 1, 1, generator=generator)
    u = torch.arange(SIZE + 16, dtype=torch.float32).expand(count, 3, SIZE, -1)
    phase = 6.0 * torch.rand(count, 3, 1, 1, generator=generator)
    texture = 0.5 + 0.2 * torch.sin(0.4 * u + phase) + 0.3 * (1.0 / distance - 0.5)
    focal = 60.0
    disparity = torch.full((count, 1, 1, 1), focal * shift) / distance
    source_at = torch.arange(SIZE, dtype=torch.float32) + disparity
    source = 0.5 + 0.2 * torch.sin(0.4 * source_at + phase) + 0.3 * (1.0 / distance - 0.5)
    intrinsics = torch.tensor([[focal, 0.0, 31.5], [0.0, focal, 31.5], [0.0, 0.0, 1.0]])
    T = torch.eye(4).repeat(count, 1, 1)
    T[:, 0, 3] = -shift
    yes = torch.ones(count, dtype=torch.bool)
    depth = distance.expand(count, 1, SIZE, SIZE).contiguous()
    return PairBatch(
        image=texture[..., :SIZE].clamp(0, 1).contiguous(),
        depth=depth,
        intrinsics=intrinsics.repeat(count, 1, 1),
        source=source.expand(count, 3, SIZE, SIZE).clamp(0, 1).contiguous(),
        source_depth=depth,
        T_source_target=T,
        has_source=yes,
        has_pose=yes,
        has_depth=yes,
        seen=torch.ones_like(depth, dtype=torch.bool),
        source_seen=torch.ones_like(depth, dtype=torch.bool),
    )


class Walls:
    """A `BatchSource` of `wall_batch`."""

    def __init__(self, count: int = 2) -> None:
        self.count = count

    def batch(self, step: int, rank: int) -> PairBatch:
        return wall_batch(self.count, 1000 * rank + step)


@pytest.fixture
def tiny() -> SCSfMConfig:
    """Six steps at 64x64 from random weights."""
    return SCSfMConfig().with_values(
        {
            "width": SIZE,
            "height": SIZE,
            "encoder_weights": "none",
            "tensorboard": "off",
            "pretraining.steps": 6,
            "pretraining.batch_size": 2,
            "pretraining.warmup_steps": 2,
            "checkpoint_every": 3,
            "log_every": 2,
            "seed": 3,
        }
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"
