"""TensorBoard scalars and pictures, where tensorboard is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.config.errors import TrainingError


class TensorBoardLog:
    """Writes event files; does nothing where it has no writer.

    >>> TensorBoardLog(None).is_on
    False
    """

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

    def pictures(self, step: int, pictures: Mapping[str, torch.Tensor]) -> None:
        """Add pictures (3, H, W) in [0, 1] by title."""
        if self._writer is not None:
            for title, picture in pictures.items():
                self._writer.add_image(title, picture, step)

    def close(self) -> None:
        """Write all waiting events and close the file."""
        if self._writer is not None:
            self._writer.close()


def open_tensorboard(folder: Path, wanted: str, say: Callable[[str], None]) -> TensorBoardLog:
    """Return the log in ``folder``.

    Args:
        wanted: "on", "off", or "auto": on where tensorboard is installed, said once where not.

    Raises:
        TrainingError: "on", and tensorboard is not installed.
    """
    if wanted == "off":
        return TensorBoardLog(None)
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
        return TensorBoardLog(None)
    try:
        writer = SummaryWriter(str(folder))
    except OSError as problem:
        raise TrainingError.from_parts(
            f"writing {folder}", problem, "a writable folder", "choose another --out"
        ) from problem
    return TensorBoardLog(writer)
