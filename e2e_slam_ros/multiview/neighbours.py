"""The earlier keyframes that a depth source compares a keyframe with."""

from __future__ import annotations

import torch

from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews


def far_enough(
    keyframe: Keyframe, views: KeyframeViews, count: int, baseline_m: float
) -> list[Keyframe]:
    """Return the newest earlier keyframes that are far enough away; may be none.

    Args:
        count: how many, at most.
        baseline_m: least distance between the cameras, metres.
    """
    near = [item.keyframe for item in views.before(keyframe, count, baseline_m)]
    centre = keyframe.T_map_camera[:3, 3]
    return [
        item for item in near if float((item.T_map_camera[:3, 3] - centre).norm()) >= baseline_m
    ]


def no_depth(keyframe: Keyframe, name: str) -> RawDepth:
    """Return the answer of source ``name`` for a keyframe without neighbours: all pixels 0."""
    nothing = torch.zeros_like(keyframe.image[:, :1])
    return RawDepth(nothing, nothing, name, "motion")
