"""Visual tracker: the camera's pose from its images, frame by frame."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking.dense.second_stage import Proposal
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.front_end import FrontEnd
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.map_state import StateDict, TrackingMap, to_state, with_images
from e2e_slam_ros.tracking.place_search import PoseGuess
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.temporary_keyframes import forget_temporary, rejoin_loaded
from e2e_slam_ros.tracking.tracks import TrackedView


class VisualTracker:
    """Tracks a camera by its images and the depth of some of them.

    `track` is the front end; call it with every frame. `adjust` is the back end; call it after
    `track` or on a thread of its own. Depth comes with the frames or, later, by `give_depth`.

    Args:
        config: the parameters.
        propose: a network's pose to begin dense alignment from; None: there is none.

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

    def __init__(self, config: TrackingConfig, propose: Proposal | None = None) -> None:
        self._config = config
        self._lock = threading.RLock()
        self._front = FrontEnd(config, self._lock, propose)
        self.reset()

    @property
    def map(self) -> LocalMap:
        """Keyframes and landmarks."""
        self.finish()
        return self._front.map

    @property
    def state(self) -> TrackingState:
        """Whether the camera is tracked."""
        return self._front.state

    @property
    def scale(self) -> MapScale:
        """Where the map's metre comes from."""
        return self._front.scale

    def begin_at(self, T_map_camera: Floats) -> None:
        """Place the first keyframe of a new map at (4, 4) where no pose is given."""
        self._front.origin = T_map_camera

    def reset(self) -> None:
        """Forget the map: the next frame is the origin of a new one."""
        with self._lock:
            self._front.lens = None
            self._loaded: StateDict = {}
            self._camera: PinholeCamera | None = None
            self._newest_ns = 0
            self._front.begin()

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
            self._front.finish()
            if self._front.last is not None and frame.stamp_ns <= self._newest_ns:
                return self._front.no_pose(frame, "its stamp is not after the last one")
            if self._front.map.keyframes and frame.camera != self._camera:
                return self._front.no_pose(frame, "another camera took it than the map")
            self._newest_ns = frame.stamp_ns
            view = self._view(frame)
            if not self._front.map.keyframes:
                if self._config.localize_only:
                    return self._front.no_pose(frame, "no map to localise in: load one first")
                return self._front.initialise(frame, view, given)
            if self._front.last is None:
                return self._front.look_for_place(frame, view, given)
            self._front.take_updates()
            return self._front.follow(frame, view, given)

    def finish(self) -> None:
        """Do what the last pose did not wait for: a new keyframe's corners and their depth.

        Each other call does it first. It is for a caller that has time once the pose is out.
        """
        with self._lock:
            self._front.finish()

    def adjust(self) -> bool:
        """Work on the oldest new keyframe; return whether there was one.

        While newer ones wait, it is connected with the map but not adjusted: the adjustment of
        the newest moves it too.
        """
        with self._lock:
            self._front.finish()
            back_end = self._front.back_end
            if not self._front.pending or back_end is None:
                return False
            keyframe = self._front.pending.popleft()
            hurried = bool(self._front.pending)
        update = back_end.work(keyframe, hurried)
        if self._config.localize_only:
            rejoin_loaded(self._front, keyframe, back_end, self._lock)
        with self._lock:
            self._front.finish()
            if back_end is self._front.back_end:
                self._front.updates.append(update)
                if self._config.localize_only and forget_temporary(self._front):
                    self._newest_ns = 0
        return True

    def keep_last(self, frame: Frame) -> bool:
        """Make the last frame a keyframe, because its depth will come; return whether it is one.

        Args:
            frame: the one that `track` was called with last; an older one is refused.
        """
        with self._lock:
            self._front.finish()
            last = self._front.last
            if last is None or last.stamp_ns != frame.stamp_ns or self._front.lens is None:
                return False
            if self._front.map.keyframes[-1].stamp_ns == frame.stamp_ns:
                return True
            T_map_camera = self._front.pose_of(last.keyframe, last.T_keyframe_camera)
            sigma = self._config.adjustment.pixel_sigma
            view = TrackedView(last.image, self._front.lens, None, sigma)
            self._front.keep(frame, view, T_map_camera, self._front.tracks, last.given)
            self._front.remember(frame, view, T_map_camera, last.given)
            return True

    def give_depth(self, stamp_ns: int, depth: DepthImage) -> bool:
        """Store the depth of the tracking keyframe with a stamp; return whether there is one."""
        with self._lock:
            self._front.finish()
            for keyframe in reversed(self._front.map.keyframes):
                if keyframe.stamp_ns == stamp_ns:
                    self._front.give_depth(keyframe, depth)
                    return True
        return False

    def state_dict(self) -> StateDict:
        """Return the map as named tensors, to be saved; empty without a keyframe.

        While localising only, these are the loaded keyframes.
        """
        front = self._front
        with self._lock:
            front.finish()
            if self._camera is None or front.lens is None or front.back_end is None:
                return {}
            if self._config.localize_only:
                return self._loaded
            measured = front.back_end.measured_scale
            state = to_state(TrackingMap(front.map, self._camera, front.lens, measured))
            keyframes = list(front.map.keyframes)
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
            self._camera, self._front.lens, self._loaded = loaded.camera, loaded.lens, state
            self._newest_ns = 0
            loaded.local_map.hold()
            self._front.begin(loaded.local_map)
            assert self._front.back_end is not None
            self._front.back_end.measured_scale = loaded.measured_scale
            for keyframe in self._front.map.keyframes:
                self._front.back_end.places.add(keyframe.descriptors)

    def look(self, guess: PoseGuess | None = None) -> None:
        """Forget where the camera is and look for it in the map, first near a guess."""
        with self._lock:
            self._front.finish()
            if self._front.map.keyframes:
                self._newest_ns = 0
                self._front.forget_pose()
                self._front.search.begin(guess)

    def pose_of(self, keyframe: int, T_keyframe_camera: Floats) -> Floats:
        """Return the pose T_map_camera (4, 4) from a pose relative to a keyframe.

        The relative pose is in metres of when the keyframe was made, as `relative` gives it: a
        loop that changes the map's scale there changes the distance too.
        """
        return self.placed(keyframe, T_keyframe_camera)[0]

    def placed(self, keyframe: int, T_keyframe_camera: Floats) -> tuple[Floats, float]:
        """Return `pose_of`, and the metres of the map there per metre of when it was made."""
        with self._lock:
            self._front.finish()
            return self._front.placed(keyframe, T_keyframe_camera)

    def sigma_of(self, keyframe: int) -> float:
        """Return the angle by which a keyframe's pose misplaces points, radians."""
        with self._lock:
            self._front.finish()
            return self._front.map.keyframes[keyframe].sigma_rad

    def points(self) -> Floats:
        """Return the known landmarks (L, 3) in the map, metres."""
        with self._lock:
            landmarks = self._front.map.landmarks
            return landmarks.position[landmarks.known(np.arange(len(landmarks)))].copy()

    @property
    def relative(self) -> tuple[int, Floats] | None:
        """The keyframe that the last frame was tracked against, and the pose relative to it."""
        with self._lock:
            self._front.finish()
            last = self._front.last
        return None if last is None else (last.keyframe, last.T_keyframe_camera)

    @property
    def guess_failures(self) -> int:
        """How often the camera was not found near a given pose."""
        return self._front.search.guess_failures

    @property
    def localizes_only(self) -> bool:
        """Whether the map stays as it was loaded."""
        return self._config.localize_only

    @property
    def readout_s(self) -> float:
        """The readout time of the camera's shutter in use, seconds."""
        return 0.0 if self._front.lens is None else self._front.lens.readout_s

    def warnings(self) -> list[str]:
        """Return sentences for the user that are new since the last call."""
        found: list[str] = []
        while self._front.back_end is not None and self._front.back_end.warnings:
            found.append(self._front.back_end.warnings.popleft())
        return found

    @property
    def loops(self) -> tuple[tuple[int, int], ...]:
        """The (old, new) keyframes of each loop closed."""
        return () if self._front.back_end is None else tuple(self._front.back_end.loops)

    def _view(self, frame: Frame) -> TrackedView:
        """Return the frame's grey image at the tracker's size, with its lens and depth."""
        if self._camera != frame.camera or self._front.lens is None:
            self._use_camera(frame.camera)
        assert self._front.lens is not None
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        size = (self._front.lens.camera.width, self._front.lens.camera.height)
        if (grey.shape[1], grey.shape[0]) != size:
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        settings = self._config.adjustment
        depth = None
        if frame.depth is not None:
            depth = DepthImage(
                frame.depth, frame.camera, settings.sensor_sigma, settings.sensor_sigma_m
            )
        return TrackedView(
            np.asarray(grey, dtype=np.uint8), self._front.lens, depth, settings.pixel_sigma
        )

    def _use_camera(self, camera: PinholeCamera) -> None:
        self._camera = camera
        if self._config.image_width and camera.width > self._config.image_width:
            height = max(1, round(camera.height * self._config.image_width / camera.width))
            camera = camera.resized(self._config.image_width, height)
        self._front.lens = Lens(camera, max(0.0, self._config.readout_s))
        self._front.use_lens(self._front.lens)
