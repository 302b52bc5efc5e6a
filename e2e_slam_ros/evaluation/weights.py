"""Which weights something was measured with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config import Config
from e2e_slam_ros.depth.shipped import weights_folder


@dataclass(frozen=True)
class Weights:
    """Which network: ``sha256`` is that of the file its weights came from."""

    architecture: str
    sha256: str


def weights_of(config: Config) -> Weights | None:
    """Return what identifies the network's weights; None for a depth source without."""
    if config.depth.source != "network":
        return None
    network = config.depth.network
    if network.checkpoint:
        content = Path(network.checkpoint).expanduser().read_bytes()
    else:
        content = (weights_folder() / f"{network.architecture}.safetensors").read_bytes()
    return Weights(network.architecture, hashlib.sha256(content).hexdigest())
