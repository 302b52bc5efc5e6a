"""The run time of each stage of a keyframe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StageTimer:
    """Measures the wall-clock time of stages; waits for the GPU at the end of each.

    Args:
        device: the stages run there.

    Attributes:
        latency_ms: stage name -> milliseconds.

    Example:
        >>> timer = StageTimer(torch.device("cpu"))
        >>> with timer("fuse"):
        ...     total = sum(range(10))
        >>> list(timer.latency_ms)
        ['fuse']
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.latency_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, wanted: bool = True) -> Iterator[None]:
        """Measure the block; a stage that is not ``wanted`` is not listed."""
        start = time.perf_counter()
        yield
        if not wanted:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.latency_ms[stage] = (time.perf_counter() - start) * 1e3
