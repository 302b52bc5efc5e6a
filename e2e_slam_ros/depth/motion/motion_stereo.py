"""Metric depth from the images and poses of the last keyframes."""

from __future__ import annotations

from collections import deque

import torch
from torch.nn import functional

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.depth.motion.fill import fill
from e2e_slam_ros.depth.motion.plane_sweep import CostVolume, SweepView, plane_sweep, sweep_view
from e2e_slam_ros.depth.motion.semi_global import semi_global

# Costs of a step between planes, in units of 1 - correlation; chosen on the tuning frames.
_SMALL_STEP, _LARGE_STEP = 0.3, 4.0
# What a pixel costs at a plane that no neighbour sees: worse than a fair match.
_UNSEEN = 0.7


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
        motion = config.motion
        self._planes = torch.linspace(
            1.0 / config.max_m, 1.0 / max(motion.near_m, config.min_m), motion.planes
        ).to(device)
        self._recent: deque[SweepView] = deque(maxlen=2 * motion.neighbours)

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
        """Choose planes, fill, and bring the result to the keyframe's size."""
        seen = volume.views > 0.5
        cost = torch.where(seen, (1.0 - volume.correlation).clamp(0.0, 1.2), _UNSEEN)
        chosen, inverse = best_plane(semi_global(cost, _SMALL_STEP, _LARGE_STEP), self._planes)
        agreement = volume.correlation.gather(0, chosen[None])[0].clamp(0.0, 1.0)
        # The outermost planes also take what is nearer or farther than the sweep.
        inner = (chosen > 0) & (chosen < self._planes.numel() - 1)
        weight = agreement.square() * inner * seen.gather(0, chosen[None])[0]
        filled, evidence = fill(inverse[None, None], weight[None, None])
        size = (keyframe.camera.height, keyframe.camera.width)
        filled = functional.interpolate(filled, size, mode="bilinear", align_corners=False)
        evidence = functional.interpolate(evidence, size, mode="bilinear", align_corners=False)
        depth = gate_depth(filled.clamp_min(1e-6).reciprocal(), self._config)
        confident = evidence >= self._config.motion.min_evidence
        return depth * confident, evidence.sqrt() * confident


def best_plane(
    cost: torch.Tensor, inverse_depth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cheapest of (D,) planes for (D, H, W) costs, and its inverse depth, (H, W) each.

    The inverse depth is that of the parabola through the plane and its two neighbours.
    """
    chosen = cost.argmin(0)
    middle = chosen.clamp(1, inverse_depth.numel() - 2)
    before, at, after = (cost.gather(0, (middle + step)[None])[0] for step in (-1, 0, 1))
    curvature = (before - 2.0 * at + after).clamp_min(1e-6)
    offset = (0.5 * (before - after) / curvature).clamp(-1.0, 1.0)
    spacing = inverse_depth[1] - inverse_depth[0]
    return chosen, inverse_depth[0] + (middle + offset) * spacing
