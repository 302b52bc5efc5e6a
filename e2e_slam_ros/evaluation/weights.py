"""The weights that figures were measured with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config import Config
from e2e_slam_ros.depth.shipped import weights_folder
from e2e_slam_ros.evaluation.score_table import counted
from e2e_slam_ros.slam.depth_sources import depth_traits


@dataclass(frozen=True)
class Weights:
    """A network and the SHA-256 of the file its weights came from; of all weights of a folder.

    >>> weights_of(Config().with_values({"depth.source": "network"})).architecture
    'efficientnet_lite2'
    """

    architecture: str
    sha256: str


def weights_of(config: Config) -> Weights | None:
    """Return the network and its weights; None for a depth source without a network."""
    if not depth_traits(config).has_network:
        return None
    network = config.depth.network
    if network.checkpoint:
        path = Path(network.checkpoint).expanduser()
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        contents = [file.read_bytes() for file in files]
    else:
        file = weights_folder() / f"{network.architecture}.safetensors"
        contents = [file.read_bytes()]
    return Weights(network.architecture, hashlib.sha256(b"".join(contents)).hexdigest())


def origin_notes(left_out: Mapping[str, int], weights: Weights | None, machine: str) -> list[str]:
    """Return sentences on the frames left out, the weights and the machine of figures."""
    notes = ["left out: " + ", ".join(counted(left_out))] if left_out else []
    if weights is not None:
        notes.append(f"{weights.architecture}, sha256 {weights.sha256[:16]}")
    return [*notes, machine]
