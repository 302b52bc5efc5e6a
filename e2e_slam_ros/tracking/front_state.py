"""What the front end knows: the map, the last frame, the tracks; and how keyframes are made."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.back_end import BackEnd, TrackUpdate
from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.dense.second_stage import DenseStage, Proposal
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.motion_model import MotionModel
from e2e_slam_ros.tracking.new_keyframe import give_depth, is_measured, make_keyframe
from e2e_slam_ros.tracking.place_search import PlaceSearch
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe
from e2e_slam_ros.tracking.tracks import TrackedView, Tracks


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


class FrontState:
    """Where the camera was last, and the map that it is tracked in.

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
        motion: of the camera.
        tracks: corners that are followed.
        lens: of the camera; None before the first frame.
        back_end: adjusts the keyframes; None without a lens.
        pending: keyframes that the back end has not worked on yet.
        updates: of the back end, not applied yet.
        search: of the camera's place in the map.
        dense: alignment of whole images; None: it is off.

    Example:
        >>> front = FrontState(TrackingConfig(), threading.RLock())
        >>> front.state.value, front.last is None
        ('initialising', True)
    """

    def __init__(
        self, config: TrackingConfig, lock: threading.RLock, propose: Proposal | None = None
    ) -> None:
        self.config, self._lock, self._propose = config, lock, propose
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
        self.scale = MapScale(self.config.scale, self.config.camera_height_m)
        self.pending: deque[TrackingKeyframe] = deque()
        self.updates: deque[TrackUpdate] = deque()
        self.motion = MotionModel()
        self.tracks = Tracks.none()
        self.last: LastFrame | None = None
        self._rest: Callable[[], None] | None = None
        self.search.begin()
        loaded = local_map is not None
        self.state = TrackingState.LOST if loaded else TrackingState.INITIALISING
        self.back_end: BackEnd | None = None
        self.dense: DenseStage | None = None
        if self.lens is not None:
            self.use_lens(self.lens)

    def forget_pose(self) -> None:
        """Forget where the camera is; the map stays."""
        self.last, self.tracks, self._rest = None, Tracks.none(), None
        self.motion.reset()
        self.search.begin()
        self.state = TrackingState.LOST

    def leave(self, T_map_camera: Floats, rest: Callable[[Floats], None]) -> None:
        """Leave what the pose of a frame need not wait for to the next call of `finish`.

        Args:
            T_map_camera: (4, 4) of the frame.
            rest: called with that pose as adjustments have moved it until then.
        """
        keyframe = self.map.keyframes[-1]
        self._rest = partial(
            self._rejoin,
            keyframe,
            keyframe.T_map_camera.copy(),
            keyframe.scale,
            T_map_camera,
            rest,
        )

    def _rejoin(
        self,
        keyframe: TrackingKeyframe,
        before: Floats,
        scale: float,
        T_map_camera: Floats,
        rest: Callable[[Floats], None],
    ) -> None:
        if scale != keyframe.scale or not np.array_equal(before, keyframe.T_map_camera):
            relative = _stretched(rigid.inverse(before) @ T_map_camera, keyframe.scale / scale)
            T_map_camera = keyframe.T_map_camera @ relative
        rest(T_map_camera)

    def finish(self) -> None:
        """Do what the last frame left."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest()

    def use_lens(self, lens: Lens) -> None:
        """Build what depends on the lens."""
        self.back_end = BackEnd(self.map, lens, self.config, self._lock, self.scale)
        # Temporary keyframes, while localising, come and go: their depth is not kept.
        if self.config.dense != "off" and not self.config.localize_only:
            self.dense = DenseStage(lens.camera, self.config.odometry, self._propose)

    def keep(
        self,
        frame: Frame,
        view: TrackedView,
        T_map_camera: Floats,
        tracks: Tracks,
        given: GivenPose | None,
    ) -> TrackingKeyframe | None:
        """Make a keyframe and queue it for the back end."""
        turning = self.motion.turning.copy()
        measured = view.depth is not None or self.scale.source == "depth_topic"
        keyframe = make_keyframe(
            self.map,
            view.lens,
            self.config,
            frame,
            view.image,
            T_map_camera,
            turning,
            tracks,
            measured,
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


def _stretched(transform: Floats, factor: float) -> Floats:
    result = transform.copy()
    result[:3, 3] *= factor
    return result
