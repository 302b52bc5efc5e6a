"""What the system needs of whatever finds or corrects the poses of camera frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.slam.result import PoseFacts
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState


class CameraTracking(Protocol):
    """Poses of camera frames: found from the images, or given and refined.

    Attributes:
        on_problem: called with an error of its own thread.
        on_notice: called with a kind and a sentence for the user.
    """

    on_problem: Callable[[Exception], None] | None
    on_notice: Callable[[str, str], None]

    @property
    def needs_mapping(self) -> bool:
        """Whether the tracker's keyframes must be mapped, because that brings their depth."""
        ...

    @property
    def state(self) -> TrackingState:
        """Whether the camera is tracked."""
        ...

    @property
    def facts(self) -> PoseFacts:
        """How the poses come about."""
        ...

    @property
    def loops(self) -> int:
        """Number of loops closed."""
        ...

    def track(self, frame: Frame) -> TrackedPose:
        """Return the pose of a frame in the map; the pose is None while the camera is lost."""
        ...

    def finish(self) -> None:
        """Do what the pose of the last frame did not wait for."""
        ...

    def chosen(self, frame: Frame) -> None:
        """Learn that a frame is going to be mapped."""
        ...

    def refreshed(self, frame: Frame) -> Frame:
        """Return a frame at its pose as the last adjustment left it."""
        ...

    def mapped(self, keyframe: Keyframe, depth: torch.Tensor) -> None:
        """Learn that a keyframe is in the map, with its depth (1, 1, H, W) in metres."""
        ...

    def corrections(self, poses: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        """Return the corrections of mapped keyframes, index -> T_new_old (4, 4) float64."""
        ...

    def corrected(self, moves: Mapping[int, torch.Tensor]) -> None:
        """Learn that the map took over these corrections."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """End the thread."""
        ...
