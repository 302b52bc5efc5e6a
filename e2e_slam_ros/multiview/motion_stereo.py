"""Metric depth from the images and poses of the last keyframes."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.multiview.fill import fill
from e2e_slam_ros.multiview.neighbours import far_enough, no_depth
from e2e_slam_ros.multiview.plane_choice import choose_planes, inverse_planes, match_cost
from e2e_slam_ros.multiview.plane_sweep import CostVolume, plane_sweep
from e2e_slam_ros.multiview.sweep_view import sweep_view


class MotionStereoDepth:
    """Plane sweep over earlier keyframes, semi-global, filled where images say nothing.

    The poses give the metres. The first keyframe, and one whose neighbours did not move, get no
    depth: all pixels are 0. Needs no network and no labels.

    >>> from e2e_slam_ros.config import DepthConfig
    >>> MotionStereoDepth(DepthConfig(), torch.device("cpu")).traits.needs_views
    True
    """

    traits = DepthTraits("motion_stereo", DepthUnit.METRES, needs_views=True)
    network = None

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        self._config = config
        self._planes = inverse_planes(config, device)

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return depth and confidence; both are 0 where nothing is known."""
        motion = self._config.motion
        sources = far_enough(keyframe, views, motion.neighbours, motion.min_baseline_m)
        if not sources:
            return no_depth(keyframe, self.traits.name)
        width = min(motion.width, keyframe.camera.width)
        target, *others = (sweep_view(view, width) for view in (keyframe, *sources))
        depth, confidence = self._depth(plane_sweep(target, others, self._planes), keyframe)
        return RawDepth(depth, confidence, self.traits.name, "motion")

    def _depth(self, volume: CostVolume, keyframe: Keyframe) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depth and confidence where enough pixels are trusted."""
        depth, evidence = filled_depth(volume, keyframe.camera.height, keyframe.camera.width)
        confident = evidence >= self._config.motion.min_evidence
        return depth * confident, evidence.sqrt() * confident


def filled_depth(volume: CostVolume, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose planes and fill; return depth in metres and evidence, (1, 1, height, width) each."""
    choice = choose_planes(volume, match_cost(volume))
    filled, evidence = fill(choice.inverse_depth[None, None], choice.weight[None, None])
    size = (height, width)
    filled = functional.interpolate(filled, size, mode="bilinear", align_corners=False)
    evidence = functional.interpolate(evidence, size, mode="bilinear", align_corners=False)
    return filled.clamp_min(1e-6).reciprocal(), evidence
