"""The configured depth source."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.sensor import SensorDepth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth


def build_depth_source(config: Config, device: torch.device) -> DepthSource:
    """Return what ``depth.source`` names.

    Raises:
        ConfigError: an unknown source.
        DepthError: the network's weights are not given or cannot be used.
    """
    if config.depth.source == "sensor":
        return SensorDepth(config.depth)
    if config.depth.source == "motion_stereo":
        return MotionStereoDepth(config.depth, device)
    if config.depth.source == "network":
        return NetworkDepth(config.depth, device)
    raise ConfigError.from_parts(
        "depth.source",
        repr(config.depth.source),
        "sensor, motion_stereo or network",
        "choose one of these",
    )
