"""A sheet of pictures: image, first and last depth, label."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from e2e_slam_ros.multiview.dro.network import DroStage
from e2e_slam_ros.training.dro.batch import DroBatch

_SHOWN = 4
# Depth is drawn by its logarithm: 0.25 m white, 10 m black.
_NEAR_M, _FAR_M = 0.25, 10.0


def sheet(batch: DroBatch, stages: Sequence[DroStage]) -> torch.Tensor:
    """Return (3, rows H, 4 W) in [0, 1] of the first samples."""
    columns = [batch.image[:, 0], *(_grey(s.depth) for s in (stages[0], stages[-1]))]
    columns.append(_grey(batch.depth))
    wide = torch.cat([column[:_SHOWN] for column in columns], dim=3)
    return torch.cat(list(wide), dim=1).detach().float().cpu()


def _grey(depth: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, H, W): near is white, far and unknown black."""
    span = torch.tensor(_FAR_M / _NEAR_M, device=depth.device).log()
    shade = 1.0 - (depth.clamp_min(1e-6) / _NEAR_M).log() / span
    shade = torch.where(depth > 0, shade.clamp(0.0, 1.0), torch.zeros_like(shade))
    return shade.expand(-1, 3, -1, -1)
