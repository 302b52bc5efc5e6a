"""Depth for the keyframes of a tracking run, from what ``depth.source`` names."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.offline import DepthOf


def keyframe_depth(config: Config, device: torch.device) -> DepthOf | None:
    """Return the function that gives keyframes depth; None: the frames carry it.

    Raises:
        ConfigError: a source that needs poses, which tracking is there to find.
        DepthError: the network's weights cannot be used.
    """
    if config.depth.source == "sensor":
        return None
    if config.depth.source != "network":
        raise ConfigError.from_parts(
            "parameter depth.source",
            repr(config.depth.source),
            "sensor or network",
            "choose one of these: the others need the poses that are looked for here",
        )
    return _NetworkDepthOf(config, device)


class _NetworkDepthOf:
    """The network's depth of single frames, in the network's own metres."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self._network = NetworkDepth(config.depth, device)
        self._preprocess = Preprocessor(config.camera, device)
        self._sigma = config.tracking.adjustment.network_sigma
        self._device = device

    def __call__(self, frame: Frame) -> DepthImage:
        working = self._preprocess(frame)
        with torch.inference_mode():
            intrinsics = working.camera.matrix(self._device).unsqueeze(0)
            depth = self._network.predict(working.image, intrinsics)[0, 0]
        return DepthImage(depth.float().cpu().numpy(), working.camera, self._sigma)
