"""What a keyframe's depth is compared with: neighbours, labels and map points."""

from __future__ import annotations

import torch

from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.source import DepthUnit
from e2e_slam_ros.geometry.masks import known_median
from e2e_slam_ros.refine.depth_plan import DepthPlan
from e2e_slam_ros.refine.motion_cue import DepthCue
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.views import RefineViews


def gathered_views(
    keyframe: Keyframe,
    raw: RawDepth,
    memory: KeyframeViews,
    plan: DepthPlan,
    cue: DepthCue,
    map_points: torch.Tensor | None,
    typical_m: float | None,
) -> RefineViews:
    """Return a keyframe with its neighbours, labels and map points.

    Args:
        keyframe: whose depth is wanted.
        raw: the depth source's answer.
        memory: of keyframes.
        plan: the steps that are configured.
        cue: the keyframe's known depth.
        map_points: (N, 3) metres, map frame; or None.
        typical_m: see `typical_depth`.
    """
    config = plan.refine
    least_m = config.guard.min_parallax * (typical_m or 0.0)
    count = config.neighbours
    neighbours = [
        *memory.after(keyframe, count, least_m),
        *memory.before(keyframe, count, least_m),
    ]
    depths = (None if n.estimate is None else n.estimate.depth for n in neighbours)
    return RefineViews(
        target=keyframe,
        sources=tuple(other.keyframe for other in neighbours),
        depth=raw.depth,
        source_depths=tuple(depths),
        map_points=map_points,
        labels=cue.labels,
        poses_believed=cue.sweep is not None or not plan.corrects,
    )


def typical_depth(depth: torch.Tensor, unit: DepthUnit, last: Scale | None) -> float | None:
    """Return the median depth in metres; None where no pixel or no unit is known yet.

    Args:
        depth: (1, 1, H, W) in the source's unit; 0 = unknown.
        last: the last keyframe's scale, or None.

    >>> typical_depth(torch.tensor([0.0, 2.0, 3.0, 3.0]), DepthUnit.ROUGH_METRES, Scale(2.0))
    6.0
    >>> typical_depth(torch.ones(4), DepthUnit.UNKNOWN, None) is None
    True
    """
    if last is None and unit is DepthUnit.UNKNOWN:
        return None
    median = known_median(depth)
    if median is None:
        return None
    scaled = unit is not DepthUnit.METRES and last is not None
    return float(last(median) if scaled and last is not None else median)
