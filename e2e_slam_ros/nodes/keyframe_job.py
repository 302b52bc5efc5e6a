"""A keyframe in the queue of the mapping worker."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision


@dataclass(frozen=True, eq=False)
class KeyframeJob:
    """A frame chosen as a keyframe, with its depth image if depth is measured.

    A reset increases the tracking's epoch. A job with an earlier ``epoch`` is out of date.
    """

    frame: Frame
    decision: KeyframeDecision
    frame_id: str
    epoch: int
