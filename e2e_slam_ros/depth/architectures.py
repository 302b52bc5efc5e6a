"""Depth networks by name."""

from __future__ import annotations

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.lite_depth_net import Lite2DepthNet, LiteDepthNet

ARCHITECTURES: dict[str, type[DepthNetwork]] = {
    "efficientnet_lite2": Lite2DepthNet,
    "efficientnet_lite0": LiteDepthNet,
    "disp_resnet18": DispResNet18,
}


def build_network(name: str) -> DepthNetwork:
    """Return a new network with random weights.

    Raises:
        ConfigError: an unknown name.
    """
    if name not in ARCHITECTURES:
        raise ConfigError.from_parts(
            "depth.network.architecture",
            repr(name),
            "one of " + ", ".join(ARCHITECTURES),
            "choose one of these",
        )
    return ARCHITECTURES[name]()
