"""Reads and writes the weights of the learned correction."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import torch

from e2e_slam_ros.depth.weight_checks import require_finite, require_same_tensors
from e2e_slam_ros.depth.weights_file import read_weights, write_weights
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet

_FILE = "correction_net.safetensors"
_EXPECTED = "weights of the learned correction (.safetensors)"


def save_correction(network: CorrectionNet, path: str | Path, metadata: Mapping[str, str]) -> Path:
    """Write a network as safetensors, convolutions in float16; return the file's absolute path.

    Args:
        metadata: texts to keep with the weights: recipe, seed, figures.

    Raises:
        DepthError: values that are not finite, a folder that cannot be written.
    """
    target = Path(path).expanduser().absolute()
    state = {
        name: value.half() if value.is_floating_point() and value.dim() > 1 else value
        for name, value in network.state_dict().items()
    }
    require_finite(state, f"weights {target}", "finite values", "go back to an earlier state")
    write_weights(target, state, metadata)
    return target


def load_correction(path: str | Path, device: torch.device | str = "cpu") -> CorrectionNet:
    """Return the network with weights from a file, in evaluation mode, in float32.

    Raises:
        DepthError: the file is missing, damaged, or holds other weights.
    """
    path = Path(path).expanduser()
    content = read_weights(path, _EXPECTED)
    with torch.random.fork_rng(devices=[]):
        network = CorrectionNet()
    what = f"weights {path}"
    require_same_tensors(content.tensors, network.state_dict(), what, _EXPECTED)
    require_finite(content.tensors, what, "finite values", "take an earlier file")
    network.load_state_dict(content.tensors)
    # A third less time on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device).eval().requires_grad_(False)


def load_shipped_correction(device: torch.device | str = "cpu") -> CorrectionNet:
    """Return the network with the package's weights.

    >>> sum(value.numel() for value in load_shipped_correction().parameters()) < 1_000_000
    True
    """
    folder = resources.files("e2e_slam_ros.refine.learned_correction") / "weights"
    with resources.as_file(folder / _FILE) as path:
        return load_correction(path, device)
