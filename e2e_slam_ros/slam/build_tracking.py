"""The tracker that the configuration asks for."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.slam.camera_tracking import CameraTracking
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth, no_depth
from e2e_slam_ros.slam.pose_refinement import PoseRefinement
from e2e_slam_ros.slam.pose_tracking import PoseTracking


def build_tracking(config: Config, device: torch.device) -> CameraTracking | None:
    """Return what finds or refines the poses of frames; None: given poses stay as they are.

    Raises:
        ConfigError, DepthError: as `keyframe_depth`.
    """
    if config.pose.source == "visual":
        return PoseTracking(config, keyframe_depth(config, device))
    if config.pose.refine == "off":
        return None
    traits = depth_traits(config)

    def build() -> PoseTracking:
        # Depth from known motion cannot hold the motion that it is made from.
        with_depth = traits.needs_sensor or traits.has_network
        depth_of = keyframe_depth(config, device) if with_depth else no_depth
        return PoseTracking(config, depth_of, refines=True)

    return PoseRefinement(config, build)
