"""Frames at the poses that the tracker or the refinement finds for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.pose_refinement import PoseRefinement
from e2e_slam_ros.slam.pose_tracking import PoseTracking
from e2e_slam_ros.slam.refusals import LostError
from e2e_slam_ros.tracking.state import TrackedPose

Matrix = npt.NDArray[np.float64]


class TrackedFrames:
    """Asks the tracker, or else the refinement, for the pose of each frame.

    Args:
        tracking: finds the poses of frames that come without one; or None.
        refinement: refines the poses of frames that come with one; or None.
        on_problem: called with a kind and a sentence.
        on_latency: called with the stage ``track`` and milliseconds.
        observer: is shown each image and its pose.
    """

    def __init__(
        self,
        tracking: PoseTracking | None,
        refinement: PoseRefinement | None,
        on_problem: Callable[[str, str], None],
        on_latency: Callable[[str, float], None],
        observer: RunObserver | None,
    ) -> None:
        self._tracking = tracking
        self._poses: PoseTracking | PoseRefinement | None = tracking or refinement
        self._on_problem = on_problem
        self._on_latency = on_latency
        self._observer = observer

    def located(self, image: Frame) -> tuple[Frame, bool, Matrix | None]:
        """Return a frame at its pose in the map, and what is to know of that.

        Without tracker and refinement the frame stays as it is.

        Returns:
            The frame, whether it must be mapped for its depth, and the covariance (6, 6) of its
            pose as in `TrackedPose`; None: as it was given.

        Raises:
            LostError: there is no pose for it.
        """
        if self._poses is None:
            if self._observer is not None:
                self._observer.on_image(image, None)
            return image, False, None
        failures = 0 if self._tracking is None else self._tracking.guess_failures
        tracked = self._timed(self._poses, image)
        if self._tracking is not None and self._tracking.guess_failures > failures:
            self._on_problem("initial_pose", tracked.reason)
        wanted = self._poses.needs_mapping and tracked.keyframe is not None
        return _at_pose(image, tracked), wanted, tracked.covariance

    def _timed(self, poses: PoseTracking | PoseRefinement, image: Frame) -> TrackedPose:
        start = time.perf_counter()
        tracked = poses.track(image)
        self._on_latency("track", (time.perf_counter() - start) * 1e3)
        if self._observer is not None:
            self._observer.on_image(image, tracked)
        return tracked


def _at_pose(image: Frame, tracked: TrackedPose) -> Frame:
    """Return a frame at its tracked pose.

    Raises:
        LostError: there is none.
    """
    if tracked.T_map_camera is None:
        raise LostError.from_parts(
            f"camera at {image.stamp_ns * 1e-9:.3f} s ({tracked.state})",
            tracked.reason,
            "an image of a known place",
            "move the camera back to where it was tracked, slowly and with light",
        )
    return replace(image, T_map_camera=tracked.T_map_camera)
