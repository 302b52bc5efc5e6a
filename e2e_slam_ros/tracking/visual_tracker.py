"""Visual tracker: the camera's pose from its images, frame by frame."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import PoseEstimate
from e2e_slam_ros.tracking.back_end import BackEnd, TrackUpdate
from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.dense.second_stage import DenseStage
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.map_state import StateDict, TrackingMap, to_state, with_images
from e2e_slam_ros.tracking.motion_model import MotionModel
from e2e_slam_ros.tracking.new_keyframe import (
    FEWEST_CORNERS,
    give_depth,
    is_measured,
    is_wanted,
    make_keyframe,
)
from e2e_slam_ros.tracking.place_search import PlaceSearch, PoseGuess, find_place, rejoin
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
class _Last:
    """The last frame with a pose: relative to a keyframe, so that adjustments move it along."""

    stamp_ns: int
    image: Image
    keyframe: int
    T_keyframe_camera: Floats
    given: GivenPose | None = None


class VisualTracker:
    """Tracks a camera by its images and the depth of some of them.

    `track` is the front end; call it with every frame. `adjust` is the back end; call it after
    `track` or on a thread of its own. Depth comes with the frames or, later, by `give_depth`.

    Args:
        config: the parameters.

    Attributes:
        map: keyframes and landmarks.
        state: whether the camera is tracked.
        scale: where the map's metre comes from.
        origin: (4, 4) pose of the first keyframe, where none is given.

    Example:
        >>> camera = PinholeCamera(width=160, height=120, fx=120.0, fy=120.0, cx=79.5, cy=59.5)
        >>> image = np.random.default_rng(0).integers(0, 256, (120, 160, 1), dtype=np.uint8)
        >>> image, depth = image.repeat(3, axis=2), np.full((120, 160), 2.0, np.float32)
        >>> tracker = VisualTracker(TrackingConfig())
        >>> [tracker.track(Frame(i, i, image, camera, depth)).state.value for i in (1, 2)]
        ['initialising', 'tracking']
        >>> tracker.adjust(), tracker.adjust()
        (True, False)
    """

    def __init__(self, config: TrackingConfig) -> None:
        self._config = config
        self.origin: Floats = np.eye(4)
        self._lock = threading.RLock()
        self._search = PlaceSearch(config)
        self.reset()

    def reset(self) -> None:
        """Forget the map: the next frame is the origin of a new one."""
        with self._lock:
            self._lens: Lens | None = None
            self._loaded: StateDict = {}
            self._camera: PinholeCamera | None = None
            self._newest_ns = 0
            self._begin()

    def track(self, frame: Frame, given: GivenPose | None = None) -> TrackedPose:
        """Return the pose of a frame; never waits for an adjustment.

        The tracker refuses a frame that is not newer than the last, or that comes from another
        camera than the map. Such a frame changes nothing.

        Args:
            frame: an image, and measured depth if there is any.
            given: its pose as something else measured it. It replaces the prediction, carries the
                pose on where images cannot, and holds the adjustment.
        """
        with self._lock:
            if self._last is not None and frame.stamp_ns <= self._newest_ns:
                return self._no_pose(frame, "its stamp is not after the last one")
            if self.map.keyframes and frame.camera != self._camera:
                return self._no_pose(frame, "another camera took it than the map")
            self._newest_ns = frame.stamp_ns
            view = self._view(frame)
            if not self.map.keyframes:
                if self._config.localize_only:
                    return self._no_pose(frame, "no map to localise in: load one first")
                return self._initialise(frame, view, given)
            if self._last is None:
                return self._look_for_place(frame, view, given)
            self._take_updates()
            return self._follow(frame, view, given)

    def adjust(self) -> bool:
        """Work on the oldest new keyframe; return whether there was one.

        While newer ones wait, it is connected with the map but not adjusted: the adjustment of
        the newest moves it too.
        """
        with self._lock:
            back_end = self._back_end
            if not self._pending or back_end is None:
                return False
            keyframe = self._pending.popleft()
            hurried = bool(self._pending)
        update = back_end.work(keyframe, hurried)
        if self._config.localize_only:
            self._rejoin(keyframe, back_end)
        with self._lock:
            if back_end is self._back_end:
                self._updates.append(update)
                if self._config.localize_only:
                    self._forget_temporary()
        return True

    def keep_last(self, frame: Frame) -> bool:
        """Make the last frame a keyframe, because its depth will come; return whether it is one.

        Args:
            frame: the one that `track` was called with last; an older one is refused.
        """
        with self._lock:
            last = self._last
            if last is None or last.stamp_ns != frame.stamp_ns or self._lens is None:
                return False
            if self.map.keyframes[-1].stamp_ns == frame.stamp_ns:
                return True
            T_map_camera = self.pose_of(last.keyframe, last.T_keyframe_camera)
            sigma = self._config.adjustment.pixel_sigma
            view = TrackedView(last.image, self._lens, None, sigma)
            self._keep(frame, view, T_map_camera, self._tracks, last.given)
            self._remember(frame, view, T_map_camera, last.given)
            return True

    def give_depth(self, stamp_ns: int, depth: DepthImage) -> bool:
        """Store the depth of the tracking keyframe with a stamp; return whether there is one."""
        with self._lock:
            for keyframe in reversed(self.map.keyframes):
                if keyframe.stamp_ns == stamp_ns:
                    self._give_depth(keyframe, depth)
                    return True
        return False

    def state_dict(self) -> StateDict:
        """Return the map as named tensors, to be saved; empty without a keyframe.

        While localising only, these are the loaded keyframes.
        """
        with self._lock:
            if self._camera is None or self._lens is None or self._back_end is None:
                return {}
            if self._config.localize_only:
                return self._loaded
            measured = self._back_end.measured_scale
            state = to_state(TrackingMap(self.map, self._camera, self._lens, measured))
            keyframes = list(self.map.keyframes)
        return with_images(state, keyframes)

    def load(self, loaded: TrackingMap, state: StateDict) -> None:
        """Replace the map by one from a file, and look for the camera in it.

        The loaded keyframes and landmarks stay where they are. Until an image shows a place of
        the map the tracker is lost.

        Args:
            loaded: the map; the tracker takes it over.
            state: the tensors that it was made from.
        """
        with self._lock:
            self._camera, self._lens, self._loaded = loaded.camera, loaded.lens, state
            self._newest_ns = 0
            loaded.local_map.hold()
            self._begin(loaded.local_map)
            assert self._back_end is not None
            self._back_end.measured_scale = loaded.measured_scale
            for keyframe in self.map.keyframes:
                self._back_end.places.add(keyframe.descriptors)

    def look(self, guess: PoseGuess | None = None) -> None:
        """Forget where the camera is and look for it in the map, first near a guess."""
        with self._lock:
            if self.map.keyframes:
                self._forget_pose()
                self._search.begin(guess)

    def pose_of(self, keyframe: int, T_keyframe_camera: Floats) -> Floats:
        """Return the pose T_map_camera (4, 4) from a pose relative to a keyframe.

        The relative pose is in metres of when the keyframe was made, as `relative` gives it: a
        loop that changes the map's scale there changes the distance too.
        """
        return self.placed(keyframe, T_keyframe_camera)[0]

    def placed(self, keyframe: int, T_keyframe_camera: Floats) -> tuple[Floats, float]:
        """Return `pose_of`, and the metres of the map there per metre of when it was made."""
        with self._lock:
            base = self.map.keyframes[keyframe]
            return base.T_map_camera @ _stretched(T_keyframe_camera, base.scale), base.scale

    def sigma_of(self, keyframe: int) -> tuple[float, float]:
        """Return the standard deviations of a keyframe's position (m) and rotation (rad)."""
        with self._lock:
            return self.map.keyframes[keyframe].sigma

    def points(self) -> Floats:
        """Return the known landmarks (L, 3) in the map, metres."""
        with self._lock:
            landmarks = self.map.landmarks
            return landmarks.position[landmarks.known(np.arange(len(landmarks)))].copy()

    @property
    def relative(self) -> tuple[int, Floats] | None:
        """The keyframe that the last frame was tracked against, and the pose relative to it."""
        last = self._last
        return None if last is None else (last.keyframe, last.T_keyframe_camera)

    @property
    def guess_failures(self) -> int:
        """How often the camera was not found near a given pose."""
        return self._search.guess_failures

    @property
    def localizes_only(self) -> bool:
        """Whether the map stays as it was loaded."""
        return self._config.localize_only

    @property
    def readout_s(self) -> float:
        """The readout time of the camera's shutter in use, seconds."""
        return 0.0 if self._lens is None else self._lens.readout_s

    def warnings(self) -> list[str]:
        """Return sentences for the user that are new since the last call."""
        found: list[str] = []
        while self._back_end is not None and self._back_end.warnings:
            found.append(self._back_end.warnings.popleft())
        return found

    @property
    def loops(self) -> tuple[tuple[int, int], ...]:
        """The (old, new) keyframes of each loop closed."""
        return () if self._back_end is None else tuple(self._back_end.loops)

    # --- the steps of a frame ---

    def _begin(self, local_map: LocalMap | None = None) -> None:
        self.map = LocalMap() if local_map is None else local_map
        self.scale = MapScale(self._config.scale)
        self._pending: deque[TrackingKeyframe] = deque()
        self._updates: deque[TrackUpdate] = deque()
        self._motion = MotionModel()
        self._tracks = Tracks.none()
        self._last: _Last | None = None
        self._search.begin()
        loaded = local_map is not None
        self.state = TrackingState.LOST if loaded else TrackingState.INITIALISING
        self._back_end: BackEnd | None = None
        self._dense: DenseStage | None = None
        if self._lens is not None:
            self._use_lens(self._lens)

    def _forget_pose(self) -> None:
        self._last, self._tracks, self._newest_ns = None, Tracks.none(), 0
        self._motion.reset()
        self._search.begin()
        self.state = TrackingState.LOST

    def _initialise(
        self, frame: Frame, view: TrackedView, given: GivenPose | None = None
    ) -> TrackedPose:
        origin = self.origin if given is None else given.T_map_camera
        made = self._keep(frame, view, origin, Tracks.none(), given)
        if made is None:
            return self._no_pose(frame, "too few corners in the image")
        self._remember(frame, view, origin, given)
        return TrackedPose(frame.stamp_ns, origin, np.zeros((6, 6)), self.state, 0, "", made.index)

    def _look_for_place(
        self, frame: Frame, view: TrackedView, given: GivenPose | None
    ) -> TrackedPose:
        """Look for the camera in a map that it was not tracked in before."""
        assert self._back_end is not None
        found, reason = self._search.look(self.map, self._back_end.places, view)
        self.state = TrackingState.LOST if found is None else TrackingState.RELOCALISED
        if found is None:
            return self._no_pose(frame, reason)
        pose, tracks = found.pose, found.followed.agreeing()
        T_map_camera = rigid.inverse(pose.T_camera_map)
        self._tracks, inliers = tracks, found.followed.inliers
        made = self._keep(frame, view, T_map_camera, tracks, given)
        self._remember(frame, view, T_map_camera, given)
        index = None if made is None else made.index
        return TrackedPose(
            frame.stamp_ns, T_map_camera, pose.covariance, self.state, inliers, reason, index
        )

    def _rejoin(self, keyframe: TrackingKeyframe, back_end: BackEnd) -> None:
        """Recognise a new keyframe that sees few loaded landmarks; they may have drifted away."""
        old = int((keyframe.seen.ids < self.map.fixed_landmarks).sum())
        if old >= 2 * self._config.min_inliers or self._lens is None:
            return
        sigma = self._config.adjustment.pixel_sigma
        view = TrackedView(keyframe.image, self._lens, None, sigma)
        found = find_place(self.map, back_end.places, view, self._config)
        with self._lock:
            if found is not None and back_end is self._back_end:
                rejoin(self.map, keyframe, found, self._lens)

    def _forget_temporary(self) -> None:
        """Go back to the loaded keyframes once there are many new ones: memory stays bounded."""
        count = len(self.map.keyframes) - self.map.fixed
        if self._last is None or self._pending or count <= _MOST_TEMPORARY:
            return
        old = self._tracks.chosen(self._tracks.ids < self.map.fixed_landmarks)
        enough = len(old.ids) >= 2 * self._config.min_inliers
        if not enough and count <= _MOST_WITHOUT_MAP:
            return  # out of sight of the loaded landmarks: they may come back
        T_map_camera = self.pose_of(self._last.keyframe, self._last.T_keyframe_camera)
        self.map.forget_new()
        self._updates.clear()
        if not enough:
            self._forget_pose()
            return
        self._tracks, keyframe = old, self.map.keyframes[-1]
        relative = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        self._last = replace(self._last, keyframe=keyframe.index, T_keyframe_camera=relative)

    def _follow(self, frame: Frame, view: TrackedView, given: GivenPose | None) -> TrackedPose:
        assert self._last is not None
        seconds = (frame.stamp_ns - self._last.stamp_ns) * 1e-9
        T_map_before = self.pose_of(self._last.keyframe, self._last.T_keyframe_camera)
        carried = self._carried(T_map_before, given)
        motion = self._motion.predict(seconds)
        followed = self._first_attempt(view, T_map_before, motion, carried, seconds)
        if carried is not None and followed.inliers < self._config.min_inliers:
            return self._carry_on(frame, view, carried, followed, given)
        if self.state == TrackingState.INITIALISING and not followed.known.any():
            return self._wait_for_depth(frame, view, followed.tracks, given)
        reason = ""
        if followed.inliers < max(self._config.min_inliers, _WEAK * len(self._tracks.ids)):
            followed, reason = self._second_attempt(view, T_map_before, seconds, followed)
        if followed.pose is None or followed.inliers < self._config.min_inliers:
            expected = T_map_before @ motion if carried is None else carried
            aligned = self._align_densely(frame, view, T_map_before, expected, given)
            if aligned is not None:
                return aligned
            self.state = TrackingState.LOST
            return self._no_pose(frame, f"{followed.inliers} landmarks agree with a pose")
        pose, tracks = self._settle(view, T_map_before, seconds, followed)
        self._centre_turning()
        T_map_camera = rigid.inverse(pose.T_camera_map)
        was_lost = self.state == TrackingState.LOST
        self.state = TrackingState.RELOCALISED if was_lost else TrackingState.TRACKING
        self._tracks, inliers = tracks, int(pose.inliers.sum())
        made = None
        if was_lost or is_wanted(self.map, self._config.keyframe, T_map_camera, inliers):
            made = self._keep(frame, view, T_map_camera, tracks, given)
        self._remember(frame, view, T_map_camera, given)
        index = None if made is None else made.index
        return TrackedPose(
            frame.stamp_ns, T_map_camera, pose.covariance, self.state, inliers, reason, index
        )

    def _carried(self, T_map_before: Floats, given: GivenPose | None) -> Floats | None:
        """Return the last pose moved as the given poses moved; None without two of these."""
        assert self._last is not None
        if given is None or self._last.given is None:
            return None
        return T_map_before @ rigid.inverse(self._last.given.T_map_camera) @ given.T_map_camera

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
        if followed.inliers >= max(self._config.min_inliers, _WEAK * len(self._tracks.ids)):
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
        assert self._last is not None
        reason = f"{followed.inliers} landmarks agree: moved by the given poses"
        keyframe, tracks = self.map.keyframes[-1], followed.tracks
        moved = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        rule = self._config.keyframe
        self._tracks = tracks
        made = None
        if (
            len(tracks.ids) < (1.0 - rule.lost) * len(keyframe.seen.ids)
            or float(np.linalg.norm(moved[:3, 3])) > _CARRIED_M
            or rigid.angle_deg(moved) > rule.rotation_deg
        ):
            made = self._keep(frame, view, T_map_camera, tracks, given)
        seconds = (frame.stamp_ns - self._last.stamp_ns) * 1e-9
        before = self.pose_of(self._last.keyframe, self._last.T_keyframe_camera)
        self._motion.moved(rigid.inverse(before) @ T_map_camera, seconds)
        self._remember(frame, view, T_map_camera, given)
        index = None if made is None else made.index
        return TrackedPose(
            frame.stamp_ns, T_map_camera, None, self.state, followed.inliers, reason, index
        )

    def _attempt(
        self, view: TrackedView, T_map_before: Floats, expected: Floats, turning: Floats
    ) -> Followed:
        assert self._last is not None
        return follow_tracks(
            self.map.landmarks,
            self._tracks,
            self._last.image,
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
        if self._dense is None or self.state == TrackingState.LOST:
            return None
        starts = {}
        for index in self._dense.keyframes:
            T_keyframe_map = rigid.inverse(self.map.keyframes[index].T_map_camera)
            starts[index] = [T_keyframe_map @ expected, T_keyframe_map @ T_map_before]
        found = self._dense.find(view.image, view.depth, starts)
        if found is None:
            return None
        assert self._last is not None
        T_map_camera = self.pose_of(found.keyframe, found.T_keyframe_camera)
        seconds = (frame.stamp_ns - self._last.stamp_ns) * 1e-9
        self._motion.moved(rigid.inverse(T_map_before) @ T_map_camera, seconds)
        self.state, self._tracks = TrackingState.TRACKING, Tracks.none()
        made = self._keep(frame, view, T_map_camera, Tracks.none(), given)
        self._remember(frame, view, T_map_camera, given)
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
        assert self._back_end is not None
        lost = self.state == TrackingState.LOST
        found = recognise(self.map, self._back_end.places, view, self._config, lost)
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
        assert followed.pose is not None and self._last is not None
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
        assert self._last is not None and self._lens is not None
        keyframe = self.map.keyframes[-1]
        if keyframe.stamp_ns == self._last.stamp_ns:
            keyframe.turning = 0.5 * (keyframe.turning + self._motion.turning)
            keyframe.seen.ideal = self._lens.ideal(keyframe.seen.pixels, keyframe.turning)

    def _moved(self, T_map_before: Floats, pose: PoseEstimate, seconds: float) -> None:
        motion = rigid.inverse(pose.T_camera_map @ T_map_before)
        self._motion.moved(motion, seconds)

    def _wait_for_depth(
        self, frame: Frame, view: TrackedView, tracks: Tracks, given: GivenPose | None
    ) -> TrackedPose:
        """Follow the first keyframe's corners until it has depth; begin anew without them."""
        assert self._last is not None
        if len(tracks.ids) < FEWEST_CORNERS:
            self._begin()
            return self._initialise(frame, view, given)
        self._tracks = tracks
        last = self._last
        self._last = _Last(
            frame.stamp_ns, view.image, last.keyframe, last.T_keyframe_camera, given
        )
        return self._no_pose(frame, "no keyframe has depth yet")

    def _keep(
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
        self._tracks = Tracks(keyframe.seen.ids, keyframe.seen.pixels.copy())
        if view.depth is not None:
            self._give_depth(keyframe, view.depth)
        self._pending.append(keyframe)
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

    def _give_depth(self, keyframe: TrackingKeyframe, depth: DepthImage) -> None:
        assert self._lens is not None and self._back_end is not None
        self._back_end.measured_scale = is_measured(depth) or keyframe.given is not None
        give_depth(self.map, self._lens, keyframe, depth, self.scale)
        if self._dense is not None:
            self._dense.give(keyframe.index, keyframe.image, depth)

    def _take_updates(self) -> None:
        """Apply the results of the back end to the tracks."""
        assert self._last is not None
        while self._updates:
            update = self._updates.popleft()
            if self.map.keyframes[update.keyframe].stamp_ns == self._last.stamp_ns:
                self._tracks = Tracks(update.ids.copy(), update.pixels.copy())
            else:
                self._tracks = self._tracks.chosen(~np.isin(self._tracks.ids, update.gone))

    def _remember(
        self, frame: Frame, view: TrackedView, T_map_camera: Floats, given: GivenPose | None
    ) -> None:
        keyframe = self.map.keyframes[-1]
        relative = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        relative = _stretched(relative, 1.0 / keyframe.scale)
        self._last = _Last(frame.stamp_ns, view.image, keyframe.index, relative, given)

    def _no_pose(self, frame: Frame, reason: str) -> TrackedPose:
        return TrackedPose(frame.stamp_ns, None, None, self.state, 0, reason)

    def _view(self, frame: Frame) -> TrackedView:
        """Return the frame's grey image at the tracker's size, with its lens and depth."""
        if self._camera != frame.camera or self._lens is None:
            self._use_camera(frame.camera)
        assert self._lens is not None
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        size = (self._lens.camera.width, self._lens.camera.height)
        if (grey.shape[1], grey.shape[0]) != size:
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        settings = self._config.adjustment
        depth = None
        if frame.depth is not None:
            depth = DepthImage(
                frame.depth, frame.camera, settings.sensor_sigma, settings.sensor_sigma_m
            )
        return TrackedView(
            np.asarray(grey, dtype=np.uint8), self._lens, depth, settings.pixel_sigma
        )

    def _use_camera(self, camera: PinholeCamera) -> None:
        self._camera = camera
        if self._config.image_width and camera.width > self._config.image_width:
            height = max(1, round(camera.height * self._config.image_width / camera.width))
            camera = camera.resized(self._config.image_width, height)
        self._lens = Lens(camera, max(0.0, self._config.readout_s))
        self._use_lens(self._lens)

    def _use_lens(self, lens: Lens) -> None:
        self._back_end = BackEnd(self.map, lens, self._config, self._lock)
        # Temporary keyframes, while localising, come and go: their depth is not kept.
        if self._config.dense == "auto" and not self._config.localize_only:
            self._dense = DenseStage(lens.camera, self._config.odometry)


def _stretched(transform: Floats, factor: float) -> Floats:
    result = transform.copy()
    result[:3, 3] *= factor
    return result
