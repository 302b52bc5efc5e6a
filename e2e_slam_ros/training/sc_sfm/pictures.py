"""A sheet of pictures: images, predicted depths and labels side by side."""

from __future__ import annotations

import torch

from e2e_slam_ros.training.data.batch import PairBatch

# Samples in a picture.
SHOWN = 4
# Depth is drawn by its logarithm: 0.25 m white, 10 m black.
_NEAR_M, _FAR_M = 0.25, 10.0


def sheet(batch: PairBatch, depth: torch.Tensor) -> torch.Tensor:
    """Return (3, rows H, 3 W) in [0, 1]: image, depth and label of the first samples."""
    rows = [
        torch.cat([image, _grey(predicted), _grey(label)], dim=2)
        for image, predicted, label in zip(
            batch.image[:SHOWN], depth[:SHOWN], batch.depth[:SHOWN], strict=True
        )
    ]
    return torch.cat(rows, dim=1).detach().float().cpu()


def _grey(depth: torch.Tensor) -> torch.Tensor:
    """Return (3, H, W): near is white, far and unknown black."""
    span = torch.tensor(_FAR_M / _NEAR_M, device=depth.device).log()
    shade = 1.0 - (depth.clamp_min(1e-6) / _NEAR_M).log() / span
    shade = torch.where(depth > 0, shade.clamp(0.0, 1.0), torch.zeros_like(shade))
    return shade.expand(3, -1, -1)
