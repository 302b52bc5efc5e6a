"""Metric depth from the images and poses of the last keyframes."""

from __future__ import annotations

from collections import deque

import torch
from torch.nn import functional

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.multiview.fill import fill
from e2e_slam_ros.multiview.plane_choice import choose_planes, inverse_planes, match_cost
from e2e_slam_ros.multiview.plane_sweep import CostVolume, SweepView, plane_sweep, sweep_view


class MotionStereoDepth:
    """Plane sweep over the last keyframes, semi-global, filled where images say nothing.

    Metres come from the poses, so there is no scale to recover. The first keyframe, and one
    without a neighbour that moved, get no depth. Needs no network and no labels.

    Args:
        config: range, size and number of neighbours.
        device: where keyframes live.
    """

    name: str = "motion_stereo"

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        self._config = config
        self._planes = inverse_planes(config, device)
        self._recent: deque[SweepView] = deque(maxlen=2 * config.motion.neighbours)

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe) -> DepthEstimate:
        """Return depth and confidence; both are 0 where nothing is known."""
        target = sweep_view(keyframe, min(self._config.motion.width, keyframe.camera.width))
        sources = self._neighbours(target)
        self._recent.append(target)
        if sources:
            depth, confidence = self._depth(plane_sweep(target, sources, self._planes), keyframe)
        else:
            depth = torch.zeros_like(keyframe.image[:, :1])
            confidence = depth
        return DepthEstimate(depth, confidence, source=self.name, scale_source="motion")

    def reset(self) -> None:
        """Forget the keyframes seen."""
        self._recent.clear()

    def _neighbours(self, target: SweepView) -> list[SweepView]:
        """Return the newest views that are far enough away and have the target's size."""
        motion = self._config.motion
        centre = target.T_map_camera[:3, 3]
        moved = [
            view
            for view in reversed(self._recent)
            if view.image.shape == target.image.shape
            and float((view.T_map_camera[:3, 3] - centre).norm()) >= motion.min_baseline_m
        ]
        return moved[: motion.neighbours]

    def _depth(self, volume: CostVolume, keyframe: Keyframe) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depth and confidence where enough pixels are trusted."""
        depth, evidence = filled_depth(volume, keyframe.camera.height, keyframe.camera.width)
        confident = evidence >= self._config.motion.min_evidence
        return gate_depth(depth, self._config) * confident, evidence.sqrt() * confident


def filled_depth(volume: CostVolume, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose planes and fill; return depth in metres and evidence, (1, 1, height, width) each."""
    choice = choose_planes(volume, match_cost(volume))
    filled, evidence = fill(choice.inverse_depth[None, None], choice.weight[None, None])
    size = (height, width)
    filled = functional.interpolate(filled, size, mode="bilinear", align_corners=False)
    evidence = functional.interpolate(evidence, size, mode="bilinear", align_corners=False)
    return filled.clamp_min(1e-6).reciprocal(), evidence
