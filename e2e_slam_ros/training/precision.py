"""Which numbers networks calculate in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from e2e_slam_ros.config.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Precision:
    """Which numbers networks calculate in; losses are always float32.

    Attributes:
        device_type: "cpu" or "cuda".
        dtype: bfloat16 or float16 under autocast; None is float32.

    >>> precision_of("auto", torch.device("cpu")).dtype is None
    True
    """

    device_type: str
    dtype: torch.dtype | None

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which networks run."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device_type, dtype=self.dtype)

    def gradient_scaler(self) -> Any | None:
        """Return the scaler that keeps float16 gradients from vanishing; None where not needed."""
        if self.dtype is not torch.float16:
            return None
        if hasattr(torch.amp, "GradScaler"):
            return torch.amp.GradScaler(self.device_type)
        return torch.cuda.amp.GradScaler()  # before torch 2.3


def precision_of(amp: str, device: torch.device) -> Precision:
    """Return the precision that the setting ``amp`` means on a device.

    Raises:
        ConfigError: fp16 on a CPU.
    """
    if amp == "fp16" and device.type == "cpu":
        raise ConfigError.from_parts(
            "amp", "fp16 on a CPU", "off or bf16 there", "set amp=off, or train on a GPU"
        )
    if amp == "auto":
        on_gpu = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp16"
        amp = on_gpu if device.type == "cuda" else "off"
    dtype = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[amp]
    return Precision(device.type, dtype)
