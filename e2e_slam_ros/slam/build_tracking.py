"""What finds the poses of frames, or refines given ones, as the configuration asks for."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth, no_depth
from e2e_slam_ros.slam.pose_refinement import PoseRefinement
from e2e_slam_ros.slam.pose_tracking import PoseTracking


def build_tracking(config: Config, device: torch.device) -> PoseTracking | None:
    """Return what finds poses from the images alone; None: others are given.

    Raises:
        ConfigError: ``tracking.localize_only`` with poses that are given.
        ConfigError, DepthError: as `keyframe_depth`.
    """
    _check_localising(config)
    if not config.pose.is_tracked or config.tracking.prior != "none":
        return None
    return PoseTracking(config, keyframe_depth(config, device), device)


def build_refinement(config: Config, device: torch.device) -> PoseRefinement | None:
    """Return what refines given poses; None: there are none, or they stay as they are.

    Raises:
        ConfigError: a prior without ``pose.source: visual``.
    """
    visual, prior = config.pose.source == "visual", config.tracking.prior
    if not visual and prior != "none":
        raise ConfigError.from_parts(
            "parameter tracking.prior",
            f"{prior!r} with pose.source {config.pose.source!r}",
            "'none', or pose.source 'visual'",
            "leave it out: poses of that source are refined where pose.refine says so",
        )
    if prior == "none" and (config.pose.is_tracked or config.pose.refine == "off"):
        return None
    traits = depth_traits(config)

    def build() -> PoseTracking:
        # Depth from known motion cannot hold the motion that it is made from.
        with_depth = traits.needs_sensor or traits.has_network
        depth_of = keyframe_depth(config, device) if with_depth else no_depth
        return PoseTracking(config, depth_of, refines=True)

    return PoseRefinement(config, build)


def _check_localising(config: Config) -> None:
    alone = config.pose.source == "visual" and config.tracking.prior == "none"
    if config.tracking.localize_only and not alone:
        raise ConfigError.from_parts(
            "parameter tracking.localize_only",
            f"true with pose.source {config.pose.source!r}, tracking.prior "
            f"{config.tracking.prior!r}",
            "pose.source 'visual' without a prior",
            "set pose.source to visual, or leave tracking.localize_only out",
        )
