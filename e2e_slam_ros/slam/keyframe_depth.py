"""Depth of single frames for the visual tracker, from the configured depth source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.depth.gate import defect_of
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.tracking.depth_prior import DepthImage

DepthOf: TypeAlias = Callable[[Frame], DepthImage | None]


class NetworkFrameDepth:
    """The network's depth of a frame, in the network's own metres.

    Its weights are those of the file: the tracker's map keeps one scale while another copy of the
    network may be adapted to the room.

    Example:
        >>> NetworkFrameDepth(Config(), torch.device("cpu")).sigma
        1.5
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        self._network = NetworkDepth(config.depth, device)
        self._preprocess = Preprocessor(config.camera, device)
        self._device = device
        self.sigma = config.tracking.adjustment.network_sigma

    @property
    def shifted(self) -> bool:
        """Whether its inverse depth has an unknown shift."""
        return self._network.traits.shifted

    def __call__(self, frame: Frame) -> DepthImage | None:
        """Return the depth at the working size, with its relative standard deviation.

        None where the network failed.
        """
        working = self._preprocess(frame)
        with torch.inference_mode():
            intrinsics = working.camera.matrix(self._device).unsqueeze(0)
            depth = self._network.predict(working.image, intrinsics)[0, 0]
        if defect_of(depth, varied=self._network.network.foreign) is not None:
            return None
        return DepthImage(depth.float().cpu().numpy(), working.camera, self.sigma)


def no_depth(frame: Frame) -> None:
    """Return None: the tracker finds depth by triangulation alone."""
    del frame


def keyframe_depth(config: Config, device: torch.device) -> DepthOf | None:
    """Return the function that gives frames depth; None: a sensor measures it.

    A network of relative depth gives tracking none where poses are given.

    Raises:
        ConfigError: a source that needs poses, which tracking is there to find; ICP without
            measured depth; or a network of relative depth, which has no scale of its own.
        DepthError: the network's weights cannot be used.
    """
    traits = depth_traits(config)
    if not traits.needs_sensor and config.pose.source in ("icp", "gradicp"):
        raise ConfigError.from_parts(
            "parameter depth.source",
            f"{traits.name!r} with pose.source {config.pose.source!r}",
            "sensor: every frame needs measured depth",
            "set depth.source=sensor, or pose.source to photometric or visual",
        )
    if traits.needs_sensor:
        return None
    if not traits.has_network:
        raise ConfigError.from_parts(
            "parameter depth.source",
            repr(traits.name),
            "sensor or network",
            "choose one of these: the others need the poses that are looked for here",
        )
    depth_of = NetworkFrameDepth(config, device)
    if not depth_of.shifted:
        return depth_of
    if config.pose.is_tracked:
        raise ConfigError.from_parts(
            "parameter depth.network.checkpoint",
            f"a network of relative depth with pose.source {config.pose.source!r}",
            "a metric network: poses from images take their scale from it",
            "use a metric network, or give poses (pose.source: topic)",
        )
    return no_depth
