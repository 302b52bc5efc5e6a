"""What a tracker says of each frame, and what it offers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.tracking.rigid import Floats


class TrackingState(str, Enum):
    """Whether the tracker knows where the camera is."""

    INITIALISING = "initialising"
    TRACKING = "tracking"
    LOST = "lost"
    RELOCALISED = "relocalised"


@dataclass(frozen=True, eq=False)
class TrackedPose:
    """The answer for one frame.

    Attributes:
        stamp_ns: image time in nanoseconds.
        T_map_camera: (4, 4) camera optical frame to map; None while it is not known.
        covariance: (6, 6) of the twist ``[rho, phi]`` in the camera, metres and radians;
            None with the pose.
        state: whether the camera is tracked.
        inliers: landmarks that agree with the pose.
        reason: why there is no pose, or what was unusual; empty otherwise.
        keyframe: index of the tracking keyframe made of this frame; None if none was.
    """

    stamp_ns: int
    T_map_camera: Floats | None
    covariance: Floats | None
    state: TrackingState
    inliers: int = 0
    reason: str = ""
    keyframe: int | None = None


class Tracker(Protocol):
    """Finds the camera's pose at camera rate."""

    def track(self, frame: Frame) -> TrackedPose:
        """Return the pose of a frame; never waits for an adjustment."""
        ...

    def mapped(self, keyframe: Keyframe, depth: torch.Tensor, sigma: float) -> bool:
        """Take the depth of a keyframe that was mapped meanwhile."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...
