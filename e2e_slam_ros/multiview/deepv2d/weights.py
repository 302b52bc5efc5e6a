"""Reads and writes the weights of DeepV2D."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.weight_checks import require_finite, require_same_tensors
from e2e_slam_ros.depth.weights_file import read_weights, write_weights
from e2e_slam_ros.multiview.deepv2d.architecture import ARCHITECTURES
from e2e_slam_ros.multiview.deepv2d.deepv2d import DeepV2D

_PREFIX = "deepv2d_"


def save_deepv2d(network: DeepV2D, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the network as safetensors, matrices in float16; `load_deepv2d` reads it.

    Raises:
        DepthError: values not finite in float16, or a folder that cannot be written.

    >>> import tempfile
    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "weights.safetensors"
    ...     save_deepv2d(DeepV2D(LIGHT), path, {})
    ...     load_deepv2d(path).architecture.name
    'light'
    """
    state = {k: v.half() if v.dim() > 1 else v for k, v in network.state_dict().items()}
    require_finite(
        state, f"DeepV2D weights {path}", "finite values in float16", "go back to an earlier state"
    )
    write_weights(path, state, {**metadata, "architecture": _PREFIX + network.architecture.name})


def load_deepv2d(path: str | Path, device: torch.device | str = "cpu") -> DeepV2D:
    """Return the network that a file holds, in float32 and evaluation mode.

    Raises:
        DepthError: the file is missing, damaged, holds NaN, or no weights of DeepV2D.
    """
    path = Path(path).expanduser()
    content = read_weights(path, "weights of DeepV2D (.safetensors that training wrote)")
    name = content.metadata.get("architecture", "").removeprefix(_PREFIX)
    if name not in ARCHITECTURES:
        raise DepthError.from_parts(
            f"DeepV2D weights {path}",
            f"weights of {content.metadata.get('architecture', 'an unknown network')!r}",
            "one of " + ", ".join(_PREFIX + known for known in ARCHITECTURES),
            "give a file that e2e-slam train deepv2d wrote",
        )
    with torch.random.fork_rng(devices=[]):
        network = DeepV2D(ARCHITECTURES[name])
    what, expected = f"DeepV2D weights {path}", f"those of the {name} architecture"
    require_same_tensors(content.tensors, network.state_dict(), what, expected)
    require_finite(content.tensors, what, "finite values", "take an earlier file")
    network.load_state_dict({key: value.float() for key, value in content.tensors.items()})
    return network.to(device).eval().requires_grad_(False)
