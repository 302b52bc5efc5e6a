"""The result of a tracker for each frame, and the protocol of trackers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose
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
        inliers: number of landmarks, or of pixels, that agree with the pose.
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
    """Finds the camera's pose at camera rate.

    Poses are kept relative to keyframes of the tracker, so that later corrections move them along.
    """

    @property
    def state(self) -> TrackingState:
        """Whether the camera is tracked."""
        ...

    @property
    def relative(self) -> tuple[int, Floats] | None:
        """The keyframe that the last frame was tracked against, and the pose relative to it."""
        ...

    @property
    def localizes_only(self) -> bool:
        """Whether the tracker's map stays as it was loaded."""
        ...

    @property
    def readout_s(self) -> float:
        """The readout time of the camera's shutter in use, seconds."""
        ...

    @property
    def loops(self) -> Sequence[tuple[int, int]]:
        """The (old, new) keyframes of each loop closed."""
        ...

    def track(self, frame: Frame, given: GivenPose | None = None) -> TrackedPose:
        """Return the pose of a frame; never waits for an adjustment.

        Args:
            frame: the image.
            given: its pose as something else measured it, a prior; not all trackers use it.
        """
        ...

    def give_depth(self, stamp_ns: int, depth: DepthImage) -> bool:
        """Store the depth of the tracker's keyframe with a stamp; return whether there is one."""
        ...

    def adjust(self) -> bool:
        """Work on the oldest new keyframe; return whether there was one."""
        ...

    def pose_of(self, keyframe: int, T_keyframe_camera: Floats) -> Floats:
        """Return the pose T_map_camera (4, 4) from a pose relative to a keyframe."""
        ...

    def placed(self, keyframe: int, T_keyframe_camera: Floats) -> tuple[Floats, float]:
        """Return `pose_of`, and the metres of the map there per metre of when it was made."""
        ...

    def points(self) -> Floats:
        """Return points (L, 3) of the tracker's map, metres."""
        ...

    def reset(self) -> None:
        """Forget the map and the last pose."""
        ...
