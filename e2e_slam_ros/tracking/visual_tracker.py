"""The camera's pose from its images, one frame after the other."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import PoseEstimate, Sightings, find_pose, refine_pose
from e2e_slam_ros.tracking.back_end import BackEnd, TrackUpdate
from e2e_slam_ros.tracking.corners import Descriptors, Image, describe, detect_corners
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.flow import follow
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.motion_model import MotionModel
from e2e_slam_ros.tracking.relocalisation import relocalise
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.shutter import ShutterEstimate
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe

_FEWEST_CORNERS = 40
# Share of sightings that agree with the predicted pose's neighbourhood, under which all are tried.
_TRUSTED = 0.6
# Keyframes compared with an image that was not tracked.
_ALIKE = 5
# Depth this certain is a sensor's: its scale is the map's.
_MEASURED_SIGMA = 0.05


@dataclass(eq=False)
class _Tracks:
    """Landmarks in the last image: ids (N,), recorded pixels (N, 2)."""

    ids: Ids
    pixels: Floats

    def chosen(self, mask: npt.NDArray[np.bool_]) -> _Tracks:
        return _Tracks(self.ids[mask], self.pixels[mask])


@dataclass(frozen=True, eq=False)
class _Last:
    """The last frame with a pose: relative to a keyframe, so that adjustments move it along."""

    stamp_ns: int
    image: Image
    keyframe: int
    T_keyframe_camera: Floats


class VisualTracker:
    """Tracks a camera by its images and the depth of some of them.

    `track` is the front end, called with every frame; `adjust` is the back end, to be called
    after it or on a thread of its own. Depth comes with the frames or, later, by `mapped`.

    Args:
        config: the parameters.
    """

    def __init__(self, config: TrackingConfig) -> None:
        self._config = config
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the origin of a new map."""
        with self._lock:
            self._lens: Lens | None = None
            self._camera: PinholeCamera | None = None
            self._newest_ns = 0
            self._begin()

    def _begin(self) -> None:
        self.map = LocalMap()
        self._back_end: BackEnd | None = None
        self._pending: deque[TrackingKeyframe] = deque()
        self._updates: deque[TrackUpdate] = deque()
        self._motion = MotionModel()
        self._tracks = _Tracks(np.zeros(0, np.int64), np.zeros((0, 2)))
        self._last: _Last | None = None
        self.state = TrackingState.INITIALISING
        if self._lens is not None:
            self._back_end = BackEnd(self.map, self._lens, self._config, self._lock)

    def track(self, frame: Frame) -> TrackedPose:
        """Return the pose of a frame."""
        with self._lock:
            if self._last is not None and frame.stamp_ns <= self._newest_ns:
                return self._no_pose(frame, "its stamp is not after the last one")
            if self.map.keyframes and frame.camera != self._camera:
                return self._no_pose(frame, "another camera took it than the map")
            self._newest_ns = frame.stamp_ns
            image = self._grey(frame)
            depth = self._depth_of(frame)
            if not self.map.keyframes:
                return self._initialise(frame, image, depth)
            self._take_updates()
            return self._follow(frame, image, depth)

    def adjust(self) -> bool:
        """Work on the oldest new keyframe; return whether there was one."""
        with self._lock:
            if not self._pending or self._back_end is None:
                return False
            keyframe = self._pending.popleft()
        update = self._back_end.work(keyframe)
        with self._lock:
            self._updates.append(update)
        return True

    def mapped(self, keyframe: Keyframe, depth: torch.Tensor, sigma: float) -> bool:
        """Take the depth of a mapped keyframe; return whether its frame is still known.

        Args:
            keyframe: found by its stamp.
            depth: (1, 1, H, W) z in metres, 0 = none, at the keyframe's size.
            sigma: relative standard deviation of the depth at one pixel.
        """
        values = depth.detach().reshape(depth.shape[-2:]).float().cpu().numpy()
        return self.give_depth(keyframe.stamp_ns, DepthImage(values, keyframe.camera, sigma))

    def give_depth(self, stamp_ns: int, depth: DepthImage) -> bool:
        """Take the depth of the tracking keyframe with a stamp; return whether there is one."""
        with self._lock:
            for keyframe in reversed(self.map.keyframes):
                if keyframe.stamp_ns == stamp_ns:
                    self._give_depth(keyframe, depth)
                    return True
        return False

    def points(self) -> Floats:
        """Return the known landmarks (L, 3) in the map, metres."""
        with self._lock:
            landmarks = self.map.landmarks
            return landmarks.position[landmarks.known(np.arange(len(landmarks)))].copy()

    @property
    def readout_s(self) -> float:
        """The readout time of the camera's shutter in use, seconds."""
        return 0.0 if self._lens is None else self._lens.readout_s

    def pose_of(self, keyframe: int, T_keyframe_camera: Floats) -> Floats:
        """Return where a frame is that was tracked relative to a keyframe."""
        with self._lock:
            return self.map.keyframes[keyframe].T_map_camera @ T_keyframe_camera

    @property
    def relative(self) -> tuple[int, Floats] | None:
        """The keyframe that the last frame was tracked against, and the pose relative to it."""
        last = self._last
        return None if last is None else (last.keyframe, last.T_keyframe_camera)

    # --- steps of a frame ---

    def _initialise(self, frame: Frame, image: Image, depth: DepthImage | None) -> TrackedPose:
        empty = _Tracks(np.zeros(0, np.int64), np.zeros((0, 2)))
        keyframe = self._new_keyframe(frame, image, depth, np.eye(4), empty)
        if keyframe is None:
            return self._no_pose(frame, "too few corners in the image")
        self._remember(frame, image, np.eye(4))
        return TrackedPose(
            frame.stamp_ns, np.eye(4), np.zeros((6, 6)), self.state, 0, "", keyframe.index
        )

    def _follow(self, frame: Frame, image: Image, depth: DepthImage | None) -> TrackedPose:
        assert self._last is not None and self._lens is not None
        seconds = (frame.stamp_ns - self._last.stamp_ns) * 1e-9
        T_map_before = self.pose_of(self._last.keyframe, self._last.T_keyframe_camera)
        expected = T_map_before @ self._motion.predict(seconds)
        start = self._expected_pixels(T_map_before, expected)
        pixels, good = follow(self._last.image, image, self._tracks.pixels, start)
        tracks = _Tracks(self._tracks.ids, pixels).chosen(good)
        ideal = self._lens.ideal(tracks.pixels, self._motion.turning)
        finite = np.isfinite(ideal).all(1)
        tracks, ideal = tracks.chosen(finite), ideal[finite]
        known = self.map.landmarks.known(tracks.ids)
        pose = self._pose(tracks.ids[known], ideal[known], depth, expected)
        inliers = 0 if pose is None else int(pose.inliers.sum())
        if self.state == TrackingState.INITIALISING and not known.any():
            return self._wait_for_depth(frame, image, depth, tracks)
        if pose is None or inliers < self._config.min_inliers:
            return self._recover(frame, image, depth, inliers)
        keep = np.ones(len(tracks.ids), np.bool_)
        keep[np.flatnonzero(known)[~pose.inliers]] = False
        T_map_camera = rigid.inverse(pose.T_camera_map)
        self._motion.moved(rigid.inverse(T_map_before) @ T_map_camera, seconds)
        if self._learns_shutter:
            self._learn_shutter(tracks.ids[known], tracks.pixels[known], T_map_camera)
        if self._lens.readout_s > 0.0:
            # Now that the turn is known, the rows can be put right with it.
            ideal = self._lens.ideal(tracks.pixels, self._motion.turning)
            again = self._pose(tracks.ids[known], ideal[known], depth, T_map_camera, 1.0)
            if again is not None and int(again.inliers.sum()) >= self._config.min_inliers:
                pose, inliers = again, int(again.inliers.sum())
                keep[known] = again.inliers
                T_map_camera = rigid.inverse(pose.T_camera_map)
                self._motion.moved(rigid.inverse(T_map_before) @ T_map_camera, seconds)
        self._tracks = tracks.chosen(keep)
        self.state = TrackingState.TRACKING
        made = None
        if self._wants_keyframe(T_map_camera, inliers):
            made = self._new_keyframe(frame, image, depth, T_map_camera, self._tracks)
        self._remember(frame, image, T_map_camera)
        return TrackedPose(
            frame.stamp_ns,
            T_map_camera,
            pose.covariance,
            self.state,
            inliers,
            "",
            None if made is None else made.index,
        )

    def _wait_for_depth(
        self, frame: Frame, image: Image, depth: DepthImage | None, tracks: _Tracks
    ) -> TrackedPose:
        """Follow the first keyframe's corners until its depth is known; begin anew without them."""
        assert self._last is not None
        if len(tracks.ids) < _FEWEST_CORNERS:
            self._begin()
            return self._initialise(frame, image, depth)
        self._tracks = tracks
        self._last = _Last(
            frame.stamp_ns, image, self._last.keyframe, self._last.T_keyframe_camera
        )
        return self._no_pose(frame, "no keyframe has depth yet")

    def _recover(
        self, frame: Frame, image: Image, depth: DepthImage | None, inliers: int
    ) -> TrackedPose:
        """Recognise a keyframe, or be lost."""
        assert self._lens is not None
        was_lost = self.state == TrackingState.LOST
        self.state = TrackingState.LOST
        none = np.zeros((0, 2))
        pixels = detect_corners(image, none, self._config.corners, self._config.corner_distance_px)
        ideal = self._lens.ideal(pixels)
        descriptors = describe(image, pixels)
        found = relocalise(
            self.map,
            self._candidates(descriptors),
            ideal,
            descriptors,
            self._lens,
            self._config.adjustment.pixel_sigma,
            self._config.min_inliers,
        )
        if found is None:
            return self._no_pose(frame, f"{inliers} landmarks agree with a pose")
        T_map_camera = rigid.inverse(found.pose.T_camera_map)
        tracks = _Tracks(found.ids, pixels[found.rows])
        self._motion.reset()
        self.state = TrackingState.RELOCALISED if was_lost else TrackingState.TRACKING
        made = self._new_keyframe(frame, image, depth, T_map_camera, tracks)
        self._remember(frame, image, T_map_camera)
        return TrackedPose(
            frame.stamp_ns,
            T_map_camera,
            found.pose.covariance,
            self.state,
            len(found.ids),
            f"recognised keyframe {found.keyframe}",
            None if made is None else made.index,
        )

    def _candidates(self, descriptors: Descriptors) -> list[int]:
        """Return the keyframes this may be: the newest ones, then those that look alike."""
        assert self._back_end is not None
        count = len(self._back_end.places)
        newest = list(range(count - 1, max(-1, count - 4), -1))
        alike = self._back_end.places.query(descriptors, _ALIKE)
        return newest + [k for k in alike if k not in newest]

    def _learn_shutter(self, ids: Ids, pixels: Floats, T_map_camera: Floats) -> None:
        """Measure the readout time; after a change every keyframe is put right again."""
        assert self._lens is not None
        turning = self._motion.turning
        changed = self._shutter.learn(
            self.map.landmarks.position[ids],
            pixels,
            turning,
            rigid.inverse(T_map_camera),
            self._lens,
            self._config.adjustment.pixel_sigma,
        )
        if changed:
            self._lens.readout_s = self._shutter.readout_s
            for keyframe in self.map.keyframes:
                keyframe.seen.ideal = self._lens.ideal(keyframe.seen.pixels, keyframe.turning)

    def _pose(
        self,
        ids: Ids,
        ideal: Floats,
        depth: DepthImage | None,
        expected: Floats,
        widest: float = 8.0,
    ) -> PoseEstimate | None:
        assert self._lens is not None
        if len(ids) < self._config.min_inliers:
            return None
        inverse_depth, sigma = np.full(len(ids), np.nan), np.full(len(ids), np.inf)
        if depth is not None:
            inverse_depth, sigma = depth.sample(self._lens, ideal)
        sightings = Sightings(self.map.landmarks.position[ids], ideal, inverse_depth, sigma)
        pixel_sigma = self._config.adjustment.pixel_sigma
        pose = refine_pose(sightings, self._lens, rigid.inverse(expected), pixel_sigma, widest)
        if pose.inliers.mean() > _TRUSTED:
            return pose
        other = find_pose(sightings, self._lens, pixel_sigma)
        if other is not None and other.inliers.sum() > pose.inliers.sum():
            return other
        return pose

    def _expected_pixels(self, T_map_before: Floats, T_map_now: Floats) -> Floats:
        """Return where tracks should be now; those without a depth are taken to be far away."""
        assert self._lens is not None
        ids, pixels = self._tracks.ids, self._tracks.pixels
        known = self.map.landmarks.known(ids)
        T_now_map = rigid.inverse(T_map_now)
        local = rigid.transform_points(T_now_map, self.map.landmarks.position[ids])
        turn = T_now_map[:3, :3] @ T_map_before[:3, :3]
        rays = self._lens.rays(self._lens.ideal(pixels, self._motion.turning)) @ turn.T
        turning = self._motion.turning
        result = self._lens.recorded(
            self._lens.project(np.where(known[:, None], local, rays)), turning
        )
        # A landmark's own error shows in the last image too: only the motion is predicted.
        local_before = rigid.transform_points(
            rigid.inverse(T_map_before), self.map.landmarks.position[ids]
        )
        before = self._lens.recorded(self._lens.project(local_before), turning)
        error = np.where(known[:, None], pixels - before, 0.0)
        result = result + np.where(np.isfinite(error), error, 0.0)
        return np.where(np.isfinite(result), result, pixels)

    def _wants_keyframe(self, T_map_camera: Floats, inliers: int) -> bool:
        rule, keyframe = self._config.keyframe, self.map.keyframes[-1]
        T = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        known = int(self.map.landmarks.known(keyframe.seen.ids).sum())
        depth = self.map.median_depth(keyframe)
        return (
            inliers < (1.0 - rule.lost) * known
            or float(np.linalg.norm(T[:3, 3])) > rule.parallax * depth
            or rigid.angle_deg(T) > rule.rotation_deg
        )

    def _new_keyframe(
        self,
        frame: Frame,
        image: Image,
        depth: DepthImage | None,
        T_map_camera: Floats,
        tracks: _Tracks,
    ) -> TrackingKeyframe | None:
        """Make a keyframe of tracks and new corners; None where the image has too few."""
        assert self._lens is not None
        more = detect_corners(
            image,
            tracks.pixels,
            self._config.corners - len(tracks.ids),
            self._config.corner_distance_px,
        )
        turning = self._motion.turning.copy()
        ideal = self._lens.ideal(more, turning)
        more, ideal = more[np.isfinite(ideal).all(1)], ideal[np.isfinite(ideal).all(1)]
        if len(tracks.ids) + len(more) < _FEWEST_CORNERS and not self.map.keyframes:
            return None
        index = len(self.map.keyframes)
        ids = self.map.landmarks.add(more, index)
        seen = Observations.without_depth(
            np.concatenate([tracks.ids, ids]),
            np.concatenate([tracks.pixels, more]),
            np.concatenate([self._lens.ideal(tracks.pixels, turning), ideal]),
        )
        keyframe = TrackingKeyframe(
            index, frame.index, frame.stamp_ns, image, T_map_camera, turning, seen
        )
        self.map.add(keyframe)
        self._tracks = _Tracks(seen.ids, seen.pixels.copy())
        if depth is not None:
            self._give_depth(keyframe, depth)
        self._pending.append(keyframe)
        return keyframe

    def _give_depth(self, keyframe: TrackingKeyframe, depth: DepthImage) -> None:
        """Measure the depth of a keyframe's landmarks; those without a position get one."""
        assert self._lens is not None
        seen, landmarks = keyframe.seen, self.map.landmarks
        assert self._back_end is not None
        self._back_end.measured_scale = depth.relative_sigma < _MEASURED_SIGMA
        inverse, sigma = depth.sample(self._lens, seen.ideal)
        seen.inverse_depth, seen.inverse_depth_sigma = inverse, sigma
        known = landmarks.known(seen.ids)
        measured = np.isfinite(inverse)
        T_camera_map = rigid.inverse(keyframe.T_map_camera)
        both = known & measured
        ratio = 1.0
        if both.sum() >= self._config.min_inliers and not self._back_end.measured_scale:
            # The map's own scale here: new landmarks must fit those they are seen with.
            z = rigid.transform_points(T_camera_map, landmarks.position[seen.ids[both]])[:, 2]
            ratio = float(np.median(z * inverse[both]))
        new = measured & ~known & landmarks.alive[seen.ids]
        rays = self._lens.rays(seen.ideal[new])
        local = rays * (ratio / inverse[new])[:, None]
        landmarks.position[seen.ids[new]] = rigid.transform_points(keyframe.T_map_camera, local)

    def _take_updates(self) -> None:
        """Go on with what the back end found in the last keyframe."""
        assert self._last is not None
        while self._updates:
            update = self._updates.popleft()
            keyframe = self.map.keyframes[update.keyframe]
            if keyframe.stamp_ns != self._last.stamp_ns:
                continue
            self._tracks = _Tracks(update.ids.copy(), update.pixels.copy())

    def _remember(self, frame: Frame, image: Image, T_map_camera: Floats) -> None:
        keyframe = self.map.keyframes[-1]
        relative = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
        self._last = _Last(frame.stamp_ns, image, keyframe.index, relative)

    def _no_pose(self, frame: Frame, reason: str) -> TrackedPose:
        return TrackedPose(frame.stamp_ns, None, None, self.state, 0, reason)

    def _grey(self, frame: Frame) -> Image:
        """Return the grey image at the tracker's size; a new camera gets a new lens."""
        if self._camera != frame.camera:
            self._camera = frame.camera
            wide = self._config.image_width and frame.camera.width > self._config.image_width
            camera = frame.camera
            if wide:
                scale = self._config.image_width / camera.width
                camera = camera.resized(
                    self._config.image_width, max(1, round(camera.height * scale))
                )
            self._learns_shutter = self._config.readout_s < 0.0
            self._shutter = ShutterEstimate()
            self._lens = Lens(camera, max(0.0, self._config.readout_s))
            self._back_end = BackEnd(self.map, self._lens, self._config, self._lock)
        assert self._lens is not None
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        size = (self._lens.camera.width, self._lens.camera.height)
        if (grey.shape[1], grey.shape[0]) != size:
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return np.asarray(grey, dtype=np.uint8)

    def _depth_of(self, frame: Frame) -> DepthImage | None:
        if frame.depth is None:
            return None
        settings = self._config.adjustment
        return DepthImage(
            frame.depth, frame.camera, settings.sensor_sigma, settings.sensor_sigma_m
        )
