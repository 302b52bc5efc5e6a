"""Front end of the visual tracker: a frame's pose from the last one's."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import PoseEstimate
from e2e_slam_ros.tracking.back_end import BackEnd, TrackUpdate
from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.dense.second_stage import DenseStage, Proposal
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.motion_model import MotionModel
from e2e_slam_ros.tracking.new_keyframe import (
    FEWEST_CORNERS,
    give_depth,
    is_measured,
    is_wanted,
    make_keyframe,
)
from e2e_slam_ros.tracking.place_search import PlaceSearch
from e2e_slam_ros.tracking.relocalisation import recognise
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe
from e2e_slam_ros.tracking.tracks import (
    Followed,
    TrackedView,
    Tracks,
    follow_tracks,
    pose_of_sightings,
)

# Share of the tracks that must agree with a pose, or the prediction is taken to be wrong.
_WEAK = 0.25
# New keyframes kept while localising; with so many the tracker goes back to the loaded ones.
_MOST_TEMPORARY, _MOST_WITHOUT_MAP = 60, 300
# Distance from the last keyframe that makes a new one while no landmark says how far things are.
_CARRIED_M = 0.05


@dataclass(frozen=True, eq=False)
class LastFrame:
    """The last frame with a pose: relative to a keyframe, so that adjustments move it along.

    Attributes:
        stamp_ns: image time.
        image: (H, W) uint8, grey.
        keyframe: index of the keyframe that the pose is relative to.
        T_keyframe_camera: (4, 4), in metres of when the keyframe was made.
        given: pose that something else measured; or None.

    Example:
        >>> LastFrame(0, np.zeros((4, 4), np.uint8), 0, np.eye(4)).given is None
        True
    """

    stamp_ns: int
    image: Image
    keyframe: int
    T_keyframe_camera: Floats
    given: GivenPose | None = None


class FrontEnd:
    """The steps of one frame: follow the tracks, find the pose, keep a keyframe where one is due.

    Everything here is called with the tracker's lock held.

    Args:
        config: the parameters.
        lock: the tracker's.
        propose: see `DenseStage`.

    Attributes:
        map: keyframes and landmarks.
        state: whether the camera is tracked.
        scale: where the map's metre comes from.
        origin: (4, 4) pose of the first keyframe, where none is given.
        last: the last frame with a pose; None: there is none.
        tracks: corners that are followed.
        lens: of the camera; None before the first frame.
        back_end: adjusts the keyframes; None without a lens.
        pending: keyframes that the back end has not worked on yet.
        updates: of the back end, not applied yet.
        search: of the camera's place in the map.
        dense: alignment of whole images; None: it is off.

    Example:
        >>> front = FrontEnd(TrackingConfig(), threading.RLock())
        >>> front.state.value, front.last is None
        ('initialising', True)
    """

    def __init__(
        self, config: TrackingConfig, lock: threading.RLock, propose: Proposal | None = None
    ) -> None:
        self._config, self._lock, self._propose = config, lock, propose
        self.origin: Floats = np.eye(4)
        self.lens: Lens | None = None
        self.search = PlaceSearch(config)
        self.begin()

    def pose_of(self, keyframe: int, T_keyframe_camera: Floats) -> Floats:
        """Return T_map_camera (4, 4) from a pose relative to a keyframe, see `VisualTracker`."""
        return self.placed(keyframe, T_keyframe_camera)[0]

    def placed(self, keyframe: int, T_keyframe_camera: Floats) -> tuple[Floats, float]:
        """Return `pose_of`, and the metres of the map there per metre of when it was made."""
        base = self.map.keyframes[keyframe]
        return base.T_map_camera @ _stretched(T_keyframe_camera, base.scale), base.scale

    def begin(self, local_map: LocalMap | None = None) -> None:
        """Take a new map, or one that was loaded."""
        self.map = LocalMap() if local_map is None else local_map
        self.scale = MapScale(self._config.scale, self._config.camera_height_m)
        self.pending: deque[TrackingKeyframe] = deque()
        self.updates: deque[TrackUpdate] = deque()
        self._motion = MotionModel()
        self.tracks = Tracks.none()
        self.last: LastFrame | None = None
        self.search.begin()
        loaded = local_map is not None
        self.state = TrackingState.LOST if loaded else TrackingState.INITIALISING
        self.back_end: BackEnd | None = None
        self.dense: DenseStage | None = None
        if self.lens is not None:
            self.use_lens(self.lens)

    def forget_pose(self) -> None:
        """Forget where the camera is; the map stays."""
        self.last, self.tracks = None, Tracks.none()
        self._motion.reset()
        self.search.begin()
        self.state = TrackingState.LOST

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
        carried = self._carried(T_map_before, given)
        motion = self._motion.predict(seconds)
        followed = self._first_attempt(view, T_map_before, motion, carried, seconds)
        if carried is not None and followed.inliers < self._config.min_inliers:
            return self._carry_on(frame, view, carried, followed, given)
        if self.state == TrackingState.INITIALISING and not followed.known.any():
            return self._wait_for_depth(frame, view, followed.tracks, given)
        reason = ""
        if followed.inliers < max(self._config.min_inliers, _WEAK * len(self.tracks.ids)):
            followed, reason = self._second_attempt(view, T_map_before, seconds, followed)
        if followed.pose is None or followed.inliers < self._config.min_inliers:
            expected = T_map_before @ motion if carried is None else carried
            aligned = self._align_densely(frame, view, T_map_before, expected, given)
            if aligned is not None:
                return aligned
            self.state = TrackingState.LOST
            return self.no_pose(frame, f"{followed.inliers} landmarks agree with a pose")
        pose, tracks = self._settle(view, T_map_before, seconds, followed)
        self._centre_turning()
        T_map_camera = rigid.inverse(pose.T_camera_map)
        was_lost = self.state == TrackingState.LOST
        self.state = TrackingState.RELOCALISED if was_lost else TrackingState.TRACKING
        self.tracks, inliers = tracks, int(pose.inliers.sum())
        made = None
        if was_lost or is_wanted(self.map, self._config.keyframe, T_map_camera, inliers):
            made = self.keep(frame, view, T_map_camera, tracks, given)
        self.remember(frame, view, T_map_camera, given)
        index = None if made is None else made.index
        return TrackedPose(
            frame.stamp_ns, T_map_camera, pose.covariance, self.state, inliers, reason, index
        )

    def _carried(self, T_map_before: Floats, given: GivenPose | None) -> Floats | None:
        """Return the last pose moved as the given poses moved; None without two of these."""
        assert self.last is not None
        if given is None or self.last.given is None:
            return None
        return T_map_before @ rigid.inverse(self.last.given.T_map_camera) @ given.T_map_camera

    def _first_attempt(
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
            return self._attempt(view, T_map_before, steady, self._motion.turning)
        turn = rigid.inverse(T_map_before) @ carried
        turning = rigid.rotation_vector(turn[:3, :3]) / max(seconds, 1e-3)
        followed = self._attempt(view, T_map_before, carried, turning)
        if followed.inliers >= max(self._config.min_inliers, _WEAK * len(self.tracks.ids)):
            return followed
        again = self._attempt(view, T_map_before, steady, self._motion.turning)
        return max((followed, again), key=lambda one: one.inliers)

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
        rule = self._config.keyframe
        self.tracks = tracks
        made = None
        if (
            len(tracks.ids) < (1.0 - rule.lost) * len(keyframe.seen.ids)
            or float(np.linalg.norm(moved[:3, 3])) > _CARRIED_M
            or rigid.angle_deg(moved) > rule.rotation_deg
        ):
            made = self.keep(frame, view, T_map_camera, tracks, given)
        seconds = (frame.stamp_ns - self.last.stamp_ns) * 1e-9
        before = self.pose_of(self.last.keyframe, self.last.T_keyframe_camera)
        self._motion.moved(rigid.inverse(before) @ T_map_camera, seconds)
        self.remember(frame, view, T_map_camera, given)
        index = None if made is None else made.index
        return TrackedPose(
            frame.stamp_ns, T_map_camera, None, self.state, followed.inliers, reason, index
        )

    def _attempt(
        self, view: TrackedView, T_map_before: Floats, expected: Floats, turning: Floats
    ) -> Followed:
        assert self.last is not None
        return follow_tracks(
            self.map.landmarks,
            self.tracks,
            self.last.image,
            view,
            T_map_before,
            expected,
            turning,
            self._config.min_inliers,
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
        if self.dense is None or self.state == TrackingState.LOST:
            return None
        starts = {}
        for index in self.dense.keyframes:
            T_keyframe_map = rigid.inverse(self.map.keyframes[index].T_map_camera)
            starts[index] = [T_keyframe_map @ expected, T_keyframe_map @ T_map_before]
        found = self.dense.find(view.image, view.depth, starts)
        if found is None:
            return None
        assert self.last is not None
        T_map_camera = self.pose_of(found.keyframe, found.T_keyframe_camera)
        seconds = (frame.stamp_ns - self.last.stamp_ns) * 1e-9
        self._motion.moved(rigid.inverse(T_map_before) @ T_map_camera, seconds)
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

    def _second_attempt(
        self, view: TrackedView, T_map_before: Floats, seconds: float, first: Followed
    ) -> tuple[Followed, str]:
        """Recognise a keyframe, and follow the tracks again from the pose that it gives."""
        assert self.back_end is not None
        lost = self.state == TrackingState.LOST
        found = recognise(self.map, self.back_end.places, view, self._config, lost)
        if found is None:
            return first, ""
        expected = rigid.inverse(found.pose.T_camera_map)
        motion = rigid.inverse(T_map_before) @ expected
        turning = rigid.rotation_vector(motion[:3, :3]) / max(seconds, 1e-3)
        again = self._attempt(view, T_map_before, expected, turning)
        best = max((first, again, found.followed), key=lambda one: one.inliers)
        return best, "" if best is first else f"recognised keyframe {found.keyframe}"

    def _settle(
        self, view: TrackedView, T_map_before: Floats, seconds: float, followed: Followed
    ) -> tuple[PoseEstimate, Tracks]:
        """Store the motion; with its turn, correct the rows of a rolling shutter."""
        assert followed.pose is not None and self.last is not None
        pose = followed.pose
        self._moved(T_map_before, pose, seconds)
        tracks, known = followed.tracks, followed.known
        if view.lens.readout_s > 0.0:
            ideal = view.lens.ideal(tracks.pixels[known], self._motion.turning)
            again = pose_of_sightings(
                self.map.landmarks,
                tracks.ids[known],
                ideal,
                view,
                rigid.inverse(pose.T_camera_map),
                self._config.min_inliers,
                1.0,
            )
            if again is not None and int(again.inliers.sum()) >= self._config.min_inliers:
                pose = again
                self._moved(T_map_before, pose, seconds)
        return pose, Followed(tracks, known, pose).agreeing()

    def _centre_turning(self) -> None:
        """Set a keyframe's turning to the mean before and after it, once the next image is there.

        The motion before it alone lags by half an interval, which at 10 images a second hides
        half of what a rolling shutter does.
        """
        assert self.last is not None and self.lens is not None
        keyframe = self.map.keyframes[-1]
        if keyframe.stamp_ns == self.last.stamp_ns:
            keyframe.turning = 0.5 * (keyframe.turning + self._motion.turning)
            keyframe.seen.ideal = self.lens.ideal(keyframe.seen.pixels, keyframe.turning)

    def _moved(self, T_map_before: Floats, pose: PoseEstimate, seconds: float) -> None:
        motion = rigid.inverse(pose.T_camera_map @ T_map_before)
        self._motion.moved(motion, seconds)

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

    def keep(
        self,
        frame: Frame,
        view: TrackedView,
        T_map_camera: Floats,
        tracks: Tracks,
        given: GivenPose | None,
    ) -> TrackingKeyframe | None:
        """Make a keyframe and queue it for the back end."""
        turning = self._motion.turning.copy()
        keyframe = make_keyframe(
            self.map, view.lens, self._config, frame, view.image, T_map_camera, turning, tracks
        )
        if keyframe is None:
            return None
        keyframe.given = given
        self._note_motion(keyframe)
        self.tracks = Tracks(keyframe.seen.ids, keyframe.seen.pixels.copy())
        if view.depth is not None:
            self.give_depth(keyframe, view.depth)
        self.pending.append(keyframe)
        return keyframe

    def _note_motion(self, keyframe: TrackingKeyframe) -> None:
        """Compare the length of the motion between keyframes with that of the given one."""
        if keyframe.given is None or keyframe.index < 3:
            return
        # The newest pose is not adjusted yet: the two before it are.
        first, second = self.map.keyframes[-3:-1]
        if first.given is None or second.given is None:
            return
        given = first.given.T_map_camera[:3, 3] - second.given.T_map_camera[:3, 3]
        found = first.T_map_camera[:3, 3] - second.T_map_camera[:3, 3]
        lengths = float(np.linalg.norm(given)), float(np.linalg.norm(found))
        self.scale.given_motion(*lengths, second.given.sigma.motion_m)

    def give_depth(self, keyframe: TrackingKeyframe, depth: DepthImage) -> None:
        """Give a keyframe its depth."""
        assert self.lens is not None and self.back_end is not None
        self.back_end.measured_scale = is_measured(depth) or keyframe.given is not None
        give_depth(self.map, self.lens, keyframe, depth, self.scale)
        if self.dense is not None:
            self.dense.give(keyframe.index, keyframe.image, depth)

    def take_updates(self) -> None:
        """Apply the results of the back end to the tracks."""
        assert self.last is not None
        while self.updates:
            update = self.updates.popleft()
            if self.map.keyframes[update.keyframe].stamp_ns == self.last.stamp_ns:
                self.tracks = Tracks(update.ids.copy(), update.pixels.copy())
            else:
                self.tracks = self.tracks.chosen(~np.isin(self.tracks.ids, update.gone))

    def remember(
        self, frame: Frame, view: TrackedView, T_map_camera: Floats, given: GivenPose | None
    ) -> None:
        """Keep a frame's pose, relative to the newest keyframe."""
        keyframe = self.map.keyframes[-1]
        relative = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        relative = _stretched(relative, 1.0 / keyframe.scale)
        self.last = LastFrame(frame.stamp_ns, view.image, keyframe.index, relative, given)

    def no_pose(self, frame: Frame, reason: str) -> TrackedPose:
        """Return the answer for a frame without a pose."""
        return TrackedPose(frame.stamp_ns, None, None, self.state, 0, reason)

    def use_lens(self, lens: Lens) -> None:
        """Build what depends on the lens."""
        self.back_end = BackEnd(self.map, lens, self._config, self._lock, self.scale)
        # Temporary keyframes, while localising, come and go: their depth is not kept.
        if self._config.dense != "off" and not self._config.localize_only:
            self.dense = DenseStage(lens.camera, self._config.odometry, self._propose)


def _stretched(transform: Floats, factor: float) -> Floats:
    result = transform.copy()
    result[:3, 3] *= factor
    return result
