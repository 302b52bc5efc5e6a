"""Sparse metric depth from known motion: noisy labels, no ground truth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.motion.motion_stereo import best_plane
from e2e_slam_ros.depth.motion.plane_sweep import plane_sweep, sweep_view
from e2e_slam_ros.depth.motion.semi_global import semi_global
from e2e_slam_ros.refine.views import SparseLabels

# Costs of a step between planes, and of a plane nobody sees, as `MotionStereoDepth` has them.
_SMALL_STEP, _LARGE_STEP, _UNSEEN = 0.3, 4.0, 0.7
# Agreement of the chosen plane under which a pixel is no label. On recorded rooms 0.2 keeps 44 %
# of the pixels at the same median error (5 %) as 0.6, which keeps 6 %.
LEAST_AGREEMENT = 0.2


@torch.no_grad()
def motion_labels(
    target: Keyframe,
    sources: Sequence[Keyframe],
    config: DepthConfig,
    least_agreement: float = LEAST_AGREEMENT,
) -> SparseLabels | None:
    """Return the pixels whose depth a plane sweep is sure of, at the keyframe's size.

    Metric because the poses are. The weight is the square of the agreement.

    Args:
        target: whose depth is wanted.
        sources: views from elsewhere; those nearer than ``depth.motion.min_baseline_m`` or of
            another size are left out.
        config: range, sweep width and planes.
        least_agreement: mean product of the normalised images that a label needs.

    Returns:
        Labels, or None without a source that moved.
    """
    motion = config.motion
    view = sweep_view(target, min(motion.width, target.camera.width))
    centre = target.T_map_camera[:3, 3]
    others = [
        sweep_view(source, min(motion.width, source.camera.width))
        for source in sources
        if source.camera == target.camera
        and float((source.T_map_camera[:3, 3] - centre).norm()) >= motion.min_baseline_m
    ]
    if not others:
        return None
    near = max(motion.near_m, config.min_m)
    planes = torch.linspace(1.0 / config.max_m, 1.0 / near, motion.planes)
    volume = plane_sweep(view, others, planes.to(view.image.device))
    seen = volume.views > 0.5
    cost = torch.where(seen, (1.0 - volume.correlation).clamp(0.0, 1.2), _UNSEEN)
    chosen, inverse = best_plane(semi_global(cost, _SMALL_STEP, _LARGE_STEP), volume.inverse_depth)
    agreement = volume.correlation.gather(0, chosen[None])[0].clamp(0.0, 1.0)
    # The outermost planes also take what is nearer or farther than the sweep.
    sure = (chosen > 0) & (chosen < motion.planes - 1) & seen.gather(0, chosen[None])[0]
    sure &= (agreement >= least_agreement) & (inverse > 0)
    depth = torch.where(sure, inverse.clamp_min(1e-3).reciprocal(), 0.0)
    weight = torch.where(sure, agreement.square(), 0.0)
    size = (target.camera.height, target.camera.width)
    enlarged = functional.interpolate(
        torch.stack([depth, weight])[None], size, mode="nearest-exact"
    )
    return SparseLabels(enlarged[:, :1], enlarged[:, 1:])
