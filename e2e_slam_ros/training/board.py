"""TensorBoard scalars and pictures, where tensorboard is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.batch import TrainingBatch

# Samples in a picture.
SHOWN = 4
# Depth is drawn by its logarithm: 0.25 m white, 10 m black.
_NEAR_M, _FAR_M = 0.25, 10.0


class Board:
    """Writes event files; does nothing where it has no writer."""

    def __init__(self, writer: Any | None) -> None:
        self._writer = writer

    @property
    def is_on(self) -> bool:
        """Something is written."""
        return self._writer is not None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to the curve of each name."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, batch: TrainingBatch, depth: torch.Tensor) -> None:
        """Add a sheet: image, predicted depth and label, one row a sample."""
        if self._writer is not None:
            self._writer.add_image("image, depth, label", sheet(batch, depth), step)

    def close(self) -> None:
        """Write what is waiting."""
        if self._writer is not None:
            self._writer.close()


def open_board(folder: Path, wanted: str, say: Callable[[str], None]) -> Board:
    """Return a board in ``folder``.

    Args:
        folder: where event files go.
        wanted: "on", "off", or "auto": on where tensorboard is installed, said once where not.
        say: tells the user.

    Raises:
        TrainingError: "on", and tensorboard is not installed.
    """
    if wanted == "off":
        return Board(None)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        if wanted == "on":
            raise TrainingError.from_parts(
                "tensorboard=on",
                error,
                "the package tensorboard",
                "pip install tensorboard, or set tensorboard=off",
            ) from error
        say("tensorboard is not installed: metrics.jsonl alone is written")
        return Board(None)
    try:
        writer = SummaryWriter(str(folder))
    except OSError as problem:
        raise TrainingError.from_parts(
            f"writing {folder}", problem, "a writable folder", "choose another --out"
        ) from problem
    return Board(writer)


def sheet(batch: TrainingBatch, depth: torch.Tensor) -> torch.Tensor:
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
