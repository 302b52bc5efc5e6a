"""Work on new keyframes off the camera's thread: reuse, refinement, adjustment, loops."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, refine_pose
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.bundle_problem import BundleProblem
from e2e_slam_ros.tracking.corners import describe
from e2e_slam_ros.tracking.focal_check import FocalCheck, fit_focal
from e2e_slam_ros.tracking.global_adjustment import adjust_all
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.loop_closure import (
    Loop,
    corrected_poses,
    is_open,
    met_again,
    move,
    verify,
)
from e2e_slam_ros.tracking.map_reuse import ReusedLandmarks, find_again
from e2e_slam_ros.tracking.patches import align, image_levels
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.shutter import ShutterEstimate
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.triangulation import triangulate
from e2e_slam_ros.tracking.warp import view_patches

# A tracked corner and an old landmark this near to each other are the same.
_SAME_PX = 1.5
_SAME_DEPTH = 1.3
# Correlation with its first patch under which a track has slid onto something else.
_LEAST_SIMILARITY = 0.6
_REFINED_SIMILARITY = 0.8
_MOST_DRIFT_PX = 2.5
# Keyframes after a loop before the next is looked for: the first one's are still settling.
_LOOP_PAUSE = 10
# One adjustment in so many is repeated with other focal lengths.
_FOCAL_EVERY = 8
# With given poses: keyframes from one adjustment of the last many to the next, and how many.
_WIDE_EVERY, _WIDE = 10, 100


@dataclass(frozen=True, eq=False)
class TrackUpdate:
    """The back end's result for one keyframe, for the front end to continue from.

    Attributes:
        keyframe: its index.
        ids: (N,) landmarks to track from it.
        pixels: (N, 2) their pixels in it, as recorded.
        gone: (K,) landmarks to stop tracking.

    Example:
        >>> ids, gone = np.array([4, 7]), np.array([5])
        >>> update = TrackUpdate(0, ids, np.array([[10.0, 12.0], [30.0, 8.0]]), gone)
        >>> update.ids.tolist(), update.gone.tolist()
        ([4, 7], [5])
    """

    keyframe: int
    ids: Ids
    pixels: Floats
    gone: Ids


class BackEnd:
    """Works on one keyframe at a time.

    Args:
        local_map: shared with the front end; the back end writes to it under ``lock`` only.
        lens: of the camera.
        config: the tracker's parameters.
        lock: held during writes to the map, never during computation.

    Attributes:
        places: index of the finished keyframes by appearance.
        loops: (old keyframe, new keyframe) of each loop closed.
        shutter: estimate of the camera's readout time.
        focal_check: whether the stated focal length fits.
        warnings: sentences for the user, the oldest first.
        measured_scale: depth comes from a sensor, so a loop does not correct scale.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> lens, local_map = Lens(camera), LocalMap()
        >>> pixels = np.array([[20.0, 20.0], [40.0, 20.0]])
        >>> ids = local_map.landmarks.add(pixels, anchor=0)
        >>> seen = Observations.without_depth(ids, pixels, pixels)
        >>> image = np.zeros((48, 64), np.uint8)
        >>> local_map.add(TrackingKeyframe(0, 0, 0, image, np.eye(4), np.zeros(3), seen))
        >>> back_end = BackEnd(local_map, lens, TrackingConfig(), threading.RLock())
        >>> update = back_end.work(local_map.keyframes[0])
        >>> update.ids.tolist(), len(back_end.places), back_end.loops
        ([0, 1], 1, [])
    """

    def __init__(
        self, local_map: LocalMap, lens: Lens, config: TrackingConfig, lock: threading.RLock
    ) -> None:
        self._map = local_map
        self._lens = lens
        self._config = config
        self._lock = lock
        self.places = PlaceIndex()
        self.loops: list[tuple[int, int]] = []
        self.measured_scale = False
        self.focal_check = FocalCheck()
        self.warnings: deque[str] = deque()
        self._last_wide = -1
        self._last_loop = self._last_met = -_LOOP_PAUSE
        # A loaded map was made with the readout time that its file gives.
        self._learns_shutter = config.readout_s < 0.0 and not local_map.fixed
        self.shutter = ShutterEstimate()
        self.shutter.readout_s = lens.readout_s

    def work(self, keyframe: TrackingKeyframe, hurried: bool = False) -> TrackUpdate:
        """Connect a keyframe with the map, adjust its neighbourhood, and return the changes.

        Args:
            keyframe: the new one.
            hurried: newer ones wait; leave what takes long to the last of them.
        """
        before = keyframe.seen
        self._refine(keyframe)
        if self._config.reuse.enabled and not hurried:
            self._reuse(keyframe)
        self._triangulate(keyframe)
        if not hurried:
            self._adjust(keyframe)
            self._adjust_widely(keyframe)
        self._describe(keyframe)
        # Keyframes of a map that stays as it is close no loops, and are not looked for later.
        temporary = self._config.localize_only
        if self._config.loop.enabled and not temporary and not hurried:
            if self._close_loop(keyframe):
                self._join_ends(keyframe)
                self._describe(keyframe)
            else:
                self._meet_again(keyframe)
        with self._lock:
            if not temporary:
                self.places.add(keyframe.descriptors)
            gone = before.ids[~np.isin(before.ids, keyframe.seen.ids)]
            return TrackUpdate(keyframe.index, keyframe.seen.ids, keyframe.seen.pixels, gone)

    def _adjust_widely(self, keyframe: TrackingKeyframe) -> None:
        """Adjust many keyframes with given poses, whose errors cancel over many alone."""
        if keyframe.given is None or keyframe.index - self._last_wide < _WIDE_EVERY:
            return
        self._last_wide = keyframe.index
        self._adjust_since(max(0, keyframe.index - _WIDE + 1), keyframe)

    def _describe(self, keyframe: TrackingKeyframe) -> None:
        ids, pixels = keyframe.seen.ids, keyframe.seen.pixels
        descriptors = describe(keyframe.image, pixels)
        with self._lock:
            keyframe.described, keyframe.descriptors = ids, descriptors

    def _close_loop(self, keyframe: TrackingKeyframe) -> bool:
        """Look for an old keyframe of the same place; move the map where there is one."""
        settings, last = self._config.loop, keyframe.index - self._config.loop.min_gap
        if keyframe.index - self._last_loop < _LOOP_PAUSE:
            return False
        known = set(self._map.covisible(keyframe.seen.ids)[0].tolist())
        candidates = [
            k for k in self.places.query(keyframe.descriptors, 8, last) if k not in known
        ][:4]
        pixel_sigma = self._config.adjustment.pixel_sigma
        loop = verify(
            self._map, keyframe, candidates, self._lens, pixel_sigma, settings.min_matches
        )
        if loop is None or not is_open(self._map, keyframe, loop, self._lens):
            return False
        loop = self._refined(keyframe, loop)
        if loop is None:
            return False
        poses, scales = corrected_poses(self._map, keyframe, loop, not self.measured_scale)
        with self._lock:
            move(self._map, poses, scales)
        self._last_loop = keyframe.index
        self.loops.append((loop.old, keyframe.index))
        return True

    def _join_ends(self, keyframe: TrackingKeyframe) -> None:
        """Let the newest keyframes see a closed loop's old landmarks; adjust all keyframes."""
        oldest = max(0, keyframe.index - _LOOP_PAUSE)
        for near in self._map.keyframes[oldest : keyframe.index + 1]:
            self._reuse(near)
        self._adjust(keyframe)
        self._adjust_since(self.loops[-1][0], keyframe)

    def _meet_again(self, keyframe: TrackingKeyframe) -> None:
        """Adjust all keyframes of a loop that map reuse has closed by itself."""
        settings, now = self._config.loop, keyframe.index
        met = met_again(self._map, keyframe, settings.min_gap, settings.min_matches)
        if met is None:
            return
        apart, self._last_met = now - self._last_met, now
        if apart < _LOOP_PAUSE or now - self._last_loop < _LOOP_PAUSE:
            return
        self.loops.append((met.usual, now))
        self._adjust_since(met.oldest, keyframe)

    def _adjust_since(self, oldest: int, keyframe: TrackingKeyframe) -> None:
        adjust_all(
            self._map,
            oldest,
            keyframe.index,
            self._lens,
            self._config.adjustment,
            not self.measured_scale,
            self._lock,
        )

    def _refined(self, keyframe: TrackingKeyframe, loop: Loop) -> Loop | None:
        """Find more old landmarks from the pose that the loop gives; None with too few.

        A few dozen corners matched by descriptor lie a pixel off; aligned patches do not.
        """
        there = replace(keyframe, T_map_camera=loop.T_map_camera)
        settings, pixel_sigma = self._config.reuse, self._config.adjustment.pixel_sigma
        oldest = keyframe.index - self._config.loop.min_gap
        found = find_again(self._map, there, self._lens, settings, pixel_sigma, before=oldest)
        if len(found.ids) < 2 * self._config.loop.min_matches:
            return None
        nothing = np.full(len(found.ids), np.nan)
        points = self._map.landmarks.position[found.ids]
        pose = refine_pose(
            Sightings(points, found.ideal, nothing, nothing),
            self._lens,
            rigid.inverse(loop.T_map_camera),
            pixel_sigma,
        )
        return replace(loop, T_map_camera=rigid.inverse(pose.T_camera_map))

    def _refine(self, keyframe: TrackingKeyframe) -> None:
        """Align each track with its first patch, because flow from image to image drifts."""
        seen, landmarks = keyframe.seen, self._map.landmarks
        rows = np.flatnonzero(
            (landmarks.anchor[seen.ids] != keyframe.index) & landmarks.known(seen.ids)
        )
        if not len(rows):
            return
        ids = seen.ids[rows]
        view = view_patches(self._map, ids, keyframe, self._lens)
        rows, ids, warps = rows[view.usable], ids[view.usable], view.warps[view.usable]
        anchors, which = np.unique(landmarks.anchor[ids], return_inverse=True)
        levels = [image_levels(self._map.keyframes[a].image, 1) for a in anchors]
        found = align(
            levels,
            which,
            landmarks.anchor_pixel[ids],
            warps,
            image_levels(keyframe.image, 1),
            seen.pixels[rows],
            0,
        )
        drift = np.linalg.norm(found.pixels - seen.pixels[rows], axis=1)
        better = (found.similarity > _REFINED_SIMILARITY) & (drift < _MOST_DRIFT_PX)
        slid = np.zeros(len(seen.ids), np.bool_)
        slid[rows] = found.similarity < _LEAST_SIMILARITY
        with self._lock:
            seen.pixels[rows[better]] = found.pixels[better]
            seen.ideal[rows[better]] = self._lens.ideal(found.pixels[better], keyframe.turning)
            self._map.unsee(keyframe, slid)

    def _reuse(self, keyframe: TrackingKeyframe) -> None:
        """Observe old landmarks again; merge those that are tracked under another id."""
        found = find_again(
            self._map,
            keyframe,
            self._lens,
            self._config.reuse,
            self._config.adjustment.pixel_sigma,
        )
        if not len(found.ids):
            return
        with self._lock:
            new = self._merge_same(keyframe, found)
            self._map.see(
                keyframe,
                Observations.without_depth(found.ids[new], found.pixels[new], found.ideal[new]),
            )

    def _merge_same(self, keyframe: TrackingKeyframe, found: ReusedLandmarks) -> np.ndarray:
        """Merge tracks into old landmarks found at the same pixel; return a mask of the others."""
        landmarks, seen = self._map.landmarks, keyframe.seen
        left = np.ones(len(found.ids), np.bool_)
        if not len(seen.ids):
            return left
        T_camera_map = rigid.inverse(keyframe.T_map_camera)
        distance = np.linalg.norm(found.pixels[:, None] - seen.pixels[None], axis=2)
        nearest = distance.argmin(1)
        for i in np.flatnonzero(distance.min(1) < _SAME_PX):
            kept, other = int(found.ids[i]), int(seen.ids[nearest[i]])
            left[i] = False
            if not landmarks.alive[other] or not landmarks.alive[kept]:
                continue
            points = landmarks.position[[kept, other]]
            depth = rigid.transform_points(T_camera_map, points)[:, 2]
            ratio = depth[0] / depth[1] if np.isfinite(depth[1]) else 1.0
            if 1.0 / _SAME_DEPTH < ratio < _SAME_DEPTH:
                self._map.merge(kept, other)
        return left

    def _triangulate(self, keyframe: TrackingKeyframe) -> None:
        """Give a position to tracks without depth that two distant enough keyframes see."""
        landmarks, seen = self._map.landmarks, keyframe.seen
        unknown = landmarks.alive[seen.ids] & ~landmarks.known(seen.ids)
        rows = np.flatnonzero(unknown & (landmarks.anchor[seen.ids] != keyframe.index))
        if not len(rows):
            return
        ids = seen.ids[rows]
        poses = np.stack([self._map.keyframes[a].T_map_camera for a in landmarks.anchor[ids]])
        first = np.stack(
            [
                self._lens.ideal(
                    landmarks.anchor_pixel[i : i + 1],
                    self._map.keyframes[landmarks.anchor[i]].turning,
                )[0]
                for i in ids.tolist()
            ]
        )
        points, good = triangulate(
            first, seen.ideal[rows], poses, keyframe.T_map_camera, self._lens
        )
        with self._lock:
            landmarks.position[ids[good]] = points[good]

    def _check_focal(self, keyframe: TrackingKeyframe, problem: BundleProblem) -> None:
        """Doubt the calibration where another focal length fits much better."""
        held = self.measured_scale or problem.priors is not None
        if not held or keyframe.index % _FOCAL_EVERY != _FOCAL_EVERY - 1:
            return
        settings = self._config.adjustment
        moving = list(range(max(0, keyframe.index - settings.window + 1), keyframe.index + 1))
        # Older keyframes were placed with the stated focal length, and would vouch for it.
        with self._lock:
            alone = self._map.problem(moving, 0, self._lens, settings.pixel_sigma)
        if alone is not None:
            warning = self.focal_check.add(fit_focal(alone[0]))
            if warning:
                self.warnings.append(warning)

    def _adjust(self, keyframe: TrackingKeyframe) -> None:
        settings = self._config.adjustment
        moving = list(range(max(0, keyframe.index - settings.window + 1), keyframe.index + 1))
        with self._lock:
            posed = self._map.problem(
                moving, settings.fixed, self._lens, settings.pixel_sigma, self._learns_shutter
            )
        if posed is None:
            return
        problem, cameras, ids = posed
        self._check_focal(keyframe, problem)
        solution = adjust(problem, settings.iterations)
        with self._lock:
            self._map.accept(problem, solution, cameras, ids)
            if self._learns_shutter and self.shutter.learn(
                solution.readout_change_s, solution.readout_sigma_s
            ):
                self._lens.readout_s = self.shutter.readout_s
                for old in self._map.keyframes:
                    old.seen.ideal = self._lens.ideal(old.seen.pixels, old.turning)
