"""Reads and writes the weights of DRO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.weight_checks import require_finite, require_same_tensors
from e2e_slam_ros.depth.weights_file import read_weights, write_weights
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import SHAPES, shape_of

_KEY = "dro_shape"
_EXPECTED = "weights of DRO (.safetensors)"


def save_dro(
    network: DroNetwork, path: str | Path, metadata: Mapping[str, str], half: bool = True
) -> Path:
    """Write a network as safetensors and return the absolute path of the file.

    Args:
        metadata: texts to keep with the weights: recipe, seed, figures.
        half: store what has more than one dimension in float16.

    Raises:
        DepthError: values that are not finite, a folder that cannot be written.
    """
    target = Path(path).expanduser().absolute()
    names = [name for name, shape in SHAPES.items() if shape == network.shape]
    state = {
        name: value.half() if half and value.is_floating_point() and value.dim() > 1 else value
        for name, value in network.state_dict().items()
    }
    do = "go back to an earlier state"
    require_finite(state, f"DRO weights {target}", "finite values", do)
    write_weights(target, state, {**metadata, _KEY: names[0] if names else "other"})
    return target


def load_dro(path: str | Path, device: torch.device | str = "cpu") -> DroNetwork:
    """Return the network with weights from a file, in evaluation mode, in float32.

    Raises:
        DepthError: the file is missing, damaged, or holds no weights of DRO.
    """
    path = Path(path).expanduser()
    content = read_weights(path, _EXPECTED)
    name = content.metadata.get(_KEY, "")
    if name not in SHAPES:
        raise DepthError.from_parts(
            f"DRO weights {path}",
            f"the shape {name!r}" if name else "weights of something else",
            "one of " + ", ".join(SHAPES),
            "give a file that e2e-slam train dro wrote",
        )
    with torch.random.fork_rng(devices=[]):
        network = DroNetwork(shape_of(name))
    what, expected = f"DRO weights {path}", f"those of the {name} network"
    require_same_tensors(content.tensors, network.state_dict(), what, expected)
    require_finite(content.tensors, what, "finite values", "take an earlier file")
    network.load_state_dict(dict(content.tensors))
    return network.to(device).eval()
