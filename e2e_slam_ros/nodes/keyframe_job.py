"""A keyframe on its way to the worker that maps it."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision


@dataclass(frozen=True, eq=False)
class KeyframeJob:
    """A frame chosen as a keyframe, with its depth where that is measured.

    Jobs of an earlier ``epoch`` than the tracking's were overtaken by a reset.
    """

    frame: Frame
    decision: KeyframeDecision
    frame_id: str
    epoch: int
