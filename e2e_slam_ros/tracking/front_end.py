"""Front end of the visual tracker: a frame's pose from the last one's."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.dense.second_stage import Proposal
from e2e_slam_ros.tracking.front_state import FrontState, LastFrame
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.new_keyframe import FEWEST_CORNERS, is_wanted
from e2e_slam_ros.tracking.pose_finder import PoseFinder
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.tracks import Followed, TrackedView, Tracks

# Distance from the last keyframe that makes a new one while no landmark says how far things are.
_CARRIED_M = 0.05


class FrontEnd(FrontState):
    """The steps of one frame: follow the tracks, find the pose, keep a keyframe where one is due.

    Everything here is called with the tracker's lock held.

    Args:
        config: the parameters.
        lock: the tracker's.
        propose: see `DenseStage`.

    Example:
        >>> front = FrontEnd(TrackingConfig(), threading.RLock())
        >>> front.state.value, front.last is None
        ('initialising', True)
    """

    def __init__(
        self, config: TrackingConfig, lock: threading.RLock, propose: Proposal | None = None
    ) -> None:
        super().__init__(config, lock, propose)
        self._finder = PoseFinder(self)

    def initialise(
        self, frame: Frame, view: TrackedView, given: GivenPose | None = None
    ) -> TrackedPose:
        """Make the first keyframe of a map."""
        origin = self.origin if given is None else given.T_map_camera
        made = self.keep(frame, view, origin, Tracks.none(), given)
        if made is None:
            return self.no_pose(frame, "too few corners in the image")
        self.remember(frame, view, origin, given)
        return TrackedPose(frame.stamp_ns, origin, np.zeros((6, 6)), self.state, 0, "", made.index)

    def look_for_place(
        self, frame: Frame, view: TrackedView, given: GivenPose | None
    ) -> TrackedPose:
        """Look for the camera in a map that it was not tracked in before."""
        assert self.back_end is not None
        found, reason = self.search.look(self.map, self.back_end.places, view)
        self.state = TrackingState.LOST if found is None else TrackingState.RELOCALISED
        if found is None:
            return self.no_pose(frame, reason)
        pose, tracks = found.pose, found.followed.agreeing()
        T_map_camera = rigid.inverse(pose.T_camera_map)
        self.tracks, inliers = tracks, found.followed.inliers
        made = self.keep(frame, view, T_map_camera, tracks, given)
        self.remember(frame, view, T_map_camera, given)
        index = None if made is None else made.index
        return TrackedPose(
            frame.stamp_ns, T_map_camera, pose.covariance, self.state, inliers, reason, index
        )

    def follow(self, frame: Frame, view: TrackedView, given: GivenPose | None) -> TrackedPose:
        """Return a frame's pose from the last one's."""
        assert self.last is not None
        seconds = (frame.stamp_ns - self.last.stamp_ns) * 1e-9
        T_map_before = self.pose_of(self.last.keyframe, self.last.T_keyframe_camera)
        carried = self._finder.carried(T_map_before, given)
        motion = self.motion.predict(seconds)
        followed = self._finder.first_attempt(view, T_map_before, motion, carried, seconds)
        if carried is not None and followed.inliers < self.config.min_inliers:
            return self._carry_on(frame, view, carried, followed, given)
        if self.state == TrackingState.INITIALISING and not followed.known.any():
            return self._wait_for_depth(frame, view, followed.tracks, given)
        reason = ""
        # A given pose has put the flow where it belongs: recognising a place would only cost time.
        if carried is None and followed.inliers < self._finder.least_inliers:
            followed, reason = self._finder.second_attempt(view, T_map_before, seconds, followed)
        if followed.pose is None or followed.inliers < self.config.min_inliers:
            expected = T_map_before @ motion if carried is None else carried
            aligned = self._align_densely(frame, view, T_map_before, expected, given)
            if aligned is not None:
                return aligned
            self.state = TrackingState.LOST
            return self.no_pose(frame, f"{followed.inliers} landmarks agree with a pose")
        pose, tracks = self._finder.settle(view, T_map_before, seconds, followed)
        self._centre_turning()
        T_map_camera = rigid.inverse(pose.T_camera_map)
        was_lost = self.state == TrackingState.LOST
        self.state = TrackingState.RELOCALISED if was_lost else TrackingState.TRACKING
        self.tracks, inliers = tracks, int(pose.inliers.sum())
        index = None
        if was_lost or is_wanted(self.map, self.config.keyframe, T_map_camera, inliers):
            index = len(self.map.keyframes)
        self.leave(T_map_camera, partial(self._settle, frame, view, given, index is not None))
        return TrackedPose(
            frame.stamp_ns, T_map_camera, pose.covariance, self.state, inliers, reason, index
        )

    def _settle(
        self,
        frame: Frame,
        view: TrackedView,
        given: GivenPose | None,
        is_keyframe: bool,
        T_map_camera: Floats,
    ) -> None:
        """Make a keyframe where one is due, and remember the frame."""
        if is_keyframe:
            self.keep(frame, view, T_map_camera, self.tracks, given)
        self.remember(frame, view, T_map_camera, given)

    def _carry_on(
        self,
        frame: Frame,
        view: TrackedView,
        T_map_camera: Floats,
        followed: Followed,
        given: GivenPose | None,
    ) -> TrackedPose:
        """Move as the given poses did; new keyframes get their landmarks by triangulation."""
        assert self.last is not None
        reason = f"{followed.inliers} landmarks agree: moved by the given poses"
        keyframe, tracks = self.map.keyframes[-1], followed.tracks
        moved = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        rule = self.config.keyframe
        self.tracks = tracks
        index = None
        if (
            len(tracks.ids) < (1.0 - rule.lost) * len(keyframe.seen.ids)
            or float(np.linalg.norm(moved[:3, 3])) > _CARRIED_M
            or rigid.angle_deg(moved) > rule.rotation_deg
        ):
            index = len(self.map.keyframes)
        seconds = (frame.stamp_ns - self.last.stamp_ns) * 1e-9
        before = self.pose_of(self.last.keyframe, self.last.T_keyframe_camera)
        self.motion.moved(rigid.inverse(before) @ T_map_camera, seconds)
        self.leave(T_map_camera, partial(self._settle, frame, view, given, index is not None))
        return TrackedPose(
            frame.stamp_ns, T_map_camera, None, self.state, followed.inliers, reason, index
        )

    def _align_densely(
        self,
        frame: Frame,
        view: TrackedView,
        T_map_before: Floats,
        expected: Floats,
        given: GivenPose | None,
    ) -> TrackedPose | None:
        """Return the pose from all pixels, against the keyframes with depth; or None."""
        found = self._finder.align(view, T_map_before, expected)
        if found is None:
            return None
        assert self.last is not None
        T_map_camera = self.pose_of(found.keyframe, found.T_keyframe_camera)
        seconds = (frame.stamp_ns - self.last.stamp_ns) * 1e-9
        self.motion.moved(rigid.inverse(T_map_before) @ T_map_camera, seconds)
        self.state, self.tracks = TrackingState.TRACKING, Tracks.none()
        made = self.keep(frame, view, T_map_camera, Tracks.none(), given)
        self.remember(frame, view, T_map_camera, given)
        return TrackedPose(
            frame.stamp_ns,
            T_map_camera,
            found.covariance,
            self.state,
            found.pixels,
            f"aligned with all pixels of keyframe {found.keyframe}",
            None if made is None else made.index,
        )

    def _centre_turning(self) -> None:
        """Set a keyframe's turning to the mean before and after it, once the next image is there.

        The motion before it alone lags by half an interval, which at 10 images a second hides
        half of the rolling shutter's effect.
        """
        assert self.last is not None and self.lens is not None
        keyframe = self.map.keyframes[-1]
        if keyframe.stamp_ns == self.last.stamp_ns:
            keyframe.turning = 0.5 * (keyframe.turning + self.motion.turning)
            keyframe.seen.ideal = self.lens.ideal(keyframe.seen.pixels, keyframe.turning)

    def _wait_for_depth(
        self, frame: Frame, view: TrackedView, tracks: Tracks, given: GivenPose | None
    ) -> TrackedPose:
        """Follow the first keyframe's corners until it has depth; begin anew without them."""
        assert self.last is not None
        if len(tracks.ids) < FEWEST_CORNERS:
            self.begin()
            return self.initialise(frame, view, given)
        self.tracks = tracks
        last = self.last
        self.last = LastFrame(
            frame.stamp_ns, view.image, last.keyframe, last.T_keyframe_camera, given
        )
        return self.no_pose(frame, "no keyframe has depth yet")
