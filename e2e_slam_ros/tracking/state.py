"""The result of a tracker for each frame, and the protocol of trackers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.tracking.rigid import Floats


class TrackingState(str, Enum):
    """Whether the tracker knows where the camera is.

    Example:
        >>> TrackingState("lost") is TrackingState.LOST
        True
    """

    INITIALISING = "initialising"
    TRACKING = "tracking"
    LOST = "lost"
    RELOCALISED = "relocalised"


@dataclass(frozen=True, eq=False)
class TrackedPose:
    """The tracker's result for one frame.

    Attributes:
        stamp_ns: image time in nanoseconds.
        T_map_camera: (4, 4) camera optical frame to map; None while it is not known.
        covariance: (6, 6) of the twist ``[rho, phi]`` in the camera, metres and radians;
            None with the pose.
        state: whether the camera is tracked.
        inliers: landmarks that agree with the pose.
        reason: reason for a missing pose or an unusual result; empty otherwise.
        keyframe: index of the tracking keyframe made from this frame; None if none was made.

    Example:
        >>> pose = TrackedPose(1_000_000_000, None, None, TrackingState.LOST, reason="too dark")
        >>> pose.T_map_camera is None, pose.state.value, pose.reason
        (True, 'lost', 'too dark')
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
        """Store the depth of a mapped keyframe; return whether the tracker has that keyframe."""
        ...

    def reset(self) -> None:
        """Forget the map and the last pose."""
        ...
