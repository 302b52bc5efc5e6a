"""The pose of an image from the last one's: flow, recognition, all pixels."""

from __future__ import annotations

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import PoseEstimate
from e2e_slam_ros.tracking.dense.second_stage import DensePose
from e2e_slam_ros.tracking.front_state import FrontState
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.relocalisation import recognise
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import TrackingState
from e2e_slam_ros.tracking.tracks import (
    Followed,
    TrackedView,
    Tracks,
    follow_tracks,
    pose_of_sightings,
    slid_back,
)

# Share of the tracks that must agree with a pose, or the prediction is taken to be wrong.
_WEAK = 0.25


class PoseFinder:
    """Finds the pose of an image, and moves nothing but the motion model.

    Args:
        front: the last frame, the tracks and the map.

    Example:
        >>> import threading
        >>> from e2e_slam_ros.config.tracking import TrackingConfig
        >>> finder = PoseFinder(FrontState(TrackingConfig(), threading.RLock()))
        >>> finder.least_inliers
        15
    """

    def __init__(self, front: FrontState) -> None:
        self._front = front
        self._config = front.config

    @property
    def least_inliers(self) -> float:
        """Landmarks that must agree with a pose, or the prediction is taken to be wrong."""
        edge = self._front.map.landmarks.edge[self._front.tracks.ids]
        return max(self._config.min_inliers, _WEAK * (len(edge) - 0.5 * int(edge.sum())))

    def carried(self, T_map_before: Floats, given: GivenPose | None) -> Floats | None:
        """Return the last pose moved as the given poses moved; None without two of these."""
        assert self._front.last is not None
        if given is None or self._front.last.given is None:
            return None
        return (
            T_map_before @ rigid.inverse(self._front.last.given.T_map_camera) @ given.T_map_camera
        )

    def first_attempt(
        self,
        view: TrackedView,
        T_map_before: Floats,
        motion: Floats,
        carried: Floats | None,
        seconds: float,
    ) -> Followed:
        """Follow the tracks from where given poses put the camera; else with the motion so far."""
        steady = T_map_before @ motion
        if carried is None:
            return self._attempt(view, T_map_before, steady, self._front.motion.turning)
        turn = rigid.inverse(T_map_before) @ carried
        turning = rigid.rotation_vector(turn[:3, :3]) / max(seconds, 1e-3)
        followed = self._attempt(view, T_map_before, carried, turning)
        if followed.inliers >= self.least_inliers:
            return followed
        again = self._attempt(view, T_map_before, steady, self._front.motion.turning)
        return max((followed, again), key=lambda one: one.inliers)

    def _attempt(
        self, view: TrackedView, T_map_before: Floats, expected: Floats, turning: Floats
    ) -> Followed:
        assert self._front.last is not None
        return follow_tracks(
            self._front.map.landmarks,
            self._front.tracks,
            self._front.last.image,
            view,
            T_map_before,
            expected,
            turning,
            self._config.min_inliers,
        )

    def second_attempt(
        self, view: TrackedView, T_map_before: Floats, seconds: float, first: Followed
    ) -> tuple[Followed, str]:
        """Recognise a keyframe, and follow the tracks again from the pose that it gives."""
        assert self._front.back_end is not None
        lost = self._front.state == TrackingState.LOST
        found = recognise(self._front.map, self._front.back_end.places, view, self._config, lost)
        if found is None:
            return first, ""
        expected = rigid.inverse(found.pose.T_camera_map)
        motion = rigid.inverse(T_map_before) @ expected
        turning = rigid.rotation_vector(motion[:3, :3]) / max(seconds, 1e-3)
        again = self._attempt(view, T_map_before, expected, turning)
        best = max((first, again, found.followed), key=lambda one: one.inliers)
        return best, "" if best is first else f"recognised keyframe {found.keyframe}"

    def settle(
        self, view: TrackedView, T_map_before: Floats, seconds: float, followed: Followed
    ) -> tuple[PoseEstimate, Tracks]:
        """Store the motion; with its turn, correct the rows of a rolling shutter."""
        assert followed.pose is not None and self._front.last is not None
        pose = followed.pose
        self._moved(T_map_before, pose, seconds)
        tracks, known = followed.tracks, followed.known
        if view.lens.readout_s > 0.0:
            ideal = view.lens.ideal(tracks.pixels[known], self._front.motion.turning)
            again = pose_of_sightings(
                self._front.map.landmarks,
                tracks.chosen(known),
                ideal,
                view,
                rigid.inverse(pose.T_camera_map),
                self._config.min_inliers,
                1.0,
            )
            if again is not None and again.support >= self._config.min_inliers:
                pose = again
                self._moved(T_map_before, pose, seconds)
        agreeing = Followed(tracks, known, pose).agreeing()
        landmarks, turning = self._front.map.landmarks, self._front.motion.turning
        return pose, slid_back(landmarks, agreeing, view, pose.T_camera_map, turning)

    def _moved(self, T_map_before: Floats, pose: PoseEstimate, seconds: float) -> None:
        motion = rigid.inverse(pose.T_camera_map @ T_map_before)
        self._front.motion.moved(motion, seconds)

    def align(self, view: TrackedView, T_map_before: Floats, expected: Floats) -> DensePose | None:
        """Return the pose from all pixels, against the keyframes with depth; or None."""
        front = self._front
        if front.dense is None or front.state == TrackingState.LOST:
            return None
        starts = {}
        for index in front.dense.keyframes:
            T_keyframe_map = rigid.inverse(front.map.keyframes[index].T_map_camera)
            starts[index] = [T_keyframe_map @ expected, T_keyframe_map @ T_map_before]
        return front.dense.find(view.image, view.depth, starts)
