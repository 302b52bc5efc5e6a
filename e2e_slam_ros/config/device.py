"""The device that tensors live on."""

from __future__ import annotations

import torch

from e2e_slam_ros.config.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """Return the torch device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigError: the name is none of these, or the GPU it names is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (kind == "cuda" and number.isdigit())):
        raise ConfigError.from_parts(
            "runtime.device", repr(name), "auto, cpu, cuda or cuda:N", "correct it"
        )
    count = torch.cuda.device_count() if kind == "cuda" else 0
    if kind == "cuda" and int(number or 0) >= count:
        raise ConfigError.from_parts(
            "runtime.device",
            repr(name),
            f"one of the {count} CUDA devices torch sees",
            "use auto or cpu, or install a CUDA build of torch",
        )
    return torch.device(name)
