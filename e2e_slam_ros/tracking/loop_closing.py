"""The search for loops at each new keyframe, and the adjustment of the map around them."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, refine_pose
from e2e_slam_ros.tracking.global_adjustment import adjust_all
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
from e2e_slam_ros.tracking.map_reuse import find_again, observe_again
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe
from e2e_slam_ros.tracking.window_adjustment import WindowAdjustment

# Keyframes after a loop before the next is looked for: the first one's are still settling.
_PAUSE = 10


class LoopClosing:
    """Closes loops in the tracker's map.

    Args:
        local_map: shared with the front end.
        lens: of the camera.
        config: the tracker's parameters.
        lock: held during writes to the map, never during computation.
        places: index of the finished keyframes by appearance.
        window: adjusts the newest keyframes.

    Attributes:
        closed: (old keyframe, new keyframe) of each loop.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> shared = LocalMap(), Lens(camera), TrackingConfig(), threading.RLock()
        >>> loops = LoopClosing(*shared, PlaceIndex(), WindowAdjustment(*shared))
        >>> loops.closed
        []
    """

    def __init__(
        self,
        local_map: LocalMap,
        lens: Lens,
        config: TrackingConfig,
        lock: threading.RLock,
        places: PlaceIndex,
        window: WindowAdjustment,
    ) -> None:
        self._map = local_map
        self._lens = lens
        self._config = config
        self._lock = lock
        self._places = places
        self._window = window
        self.closed: list[tuple[int, int]] = []
        self._last_loop = self._last_met = -_PAUSE

    def work(self, keyframe: TrackingKeyframe, measured_scale: bool) -> bool:
        """Close the loop that ends at a keyframe; return whether its observations changed.

        Args:
            keyframe: the newest, described and adjusted.
            measured_scale: depth is measured, so that a loop does not correct scale.
        """
        if not self._close(keyframe, measured_scale):
            self._meet_again(keyframe, measured_scale)
            return False
        self._join_ends(keyframe, measured_scale)
        return True

    def adjust_since(self, oldest: int, keyframe: TrackingKeyframe, measured_scale: bool) -> None:
        """Adjust all keyframes from ``oldest`` to a keyframe in one problem."""
        adjust_all(
            self._map,
            oldest,
            keyframe.index,
            self._lens,
            self._config.adjustment,
            not measured_scale,
            self._lock,
        )

    def _close(self, keyframe: TrackingKeyframe, measured_scale: bool) -> bool:
        """Look for an old keyframe of the same place; move the map where there is one."""
        settings, last = self._config.loop, keyframe.index - self._config.loop.min_gap
        if keyframe.index - self._last_loop < _PAUSE:
            return False
        # Old keyframes that map reuse has joined firmly. A few landmarks found again do not close
        # a loop.
        others, shared = self._map.covisible(keyframe.seen.ids)
        joined = set(others[shared >= settings.min_matches].tolist())
        found = self._places.query(keyframe.descriptors, 8, last)
        candidates = [k for k in found if k not in joined][:4]
        pixel_sigma = self._config.adjustment.pixel_sigma
        loop = verify(
            self._map, keyframe, candidates, self._lens, pixel_sigma, settings.min_matches
        )
        if loop is None or not is_open(self._map, keyframe, loop, self._lens):
            return False
        loop = self._refined(keyframe, loop)
        if loop is None:
            return False
        poses, scales = corrected_poses(self._map, keyframe, loop, not measured_scale)
        with self._lock:
            move(self._map, poses, scales)
        self._last_loop = keyframe.index
        self.closed.append((loop.old, keyframe.index))
        return True

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

    def _join_ends(self, keyframe: TrackingKeyframe, measured_scale: bool) -> None:
        """Let the newest keyframes see a closed loop's old landmarks; adjust all keyframes."""
        oldest = max(0, keyframe.index - _PAUSE)
        settings, pixel_sigma = self._config.reuse, self._config.adjustment.pixel_sigma
        for near in self._map.keyframes[oldest : keyframe.index + 1]:
            observe_again(self._map, near, self._lens, settings, pixel_sigma, self._lock)
        self._window.run(keyframe, measured_scale)
        self.adjust_since(self.closed[-1][0], keyframe, measured_scale)

    def _meet_again(self, keyframe: TrackingKeyframe, measured_scale: bool) -> None:
        """Adjust all keyframes of a loop that map reuse has closed by itself."""
        settings, now = self._config.loop, keyframe.index
        met = met_again(self._map, keyframe, settings.min_gap, settings.min_matches)
        if met is None:
            return
        apart, self._last_met = now - self._last_met, now
        if apart < _PAUSE or now - self._last_loop < _PAUSE:
            return
        self.closed.append((met.usual, now))
        self.adjust_since(met.oldest, keyframe, measured_scale)
