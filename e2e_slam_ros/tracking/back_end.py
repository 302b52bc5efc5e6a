"""Work on new keyframes off the camera's thread: reuse, refinement, adjustment, loops."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.tracking.corners import describe
from e2e_slam_ros.tracking.keyframe_tracks import refine_tracks, triangulate_tracks
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.loop_closing import LoopClosing
from e2e_slam_ros.tracking.loop_closure import stretch
from e2e_slam_ros.tracking.map_reuse import observe_again
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe
from e2e_slam_ros.tracking.window_adjustment import WindowAdjustment

# With given poses: keyframes from one adjustment of the last many to the next, and how many.
_WIDE_EVERY, _WIDE = 10, 100
# In a map of few keyframes there are fewer between: an eighth of their number, at least 2.
_WIDE_GROWTH, _WIDE_LEAST = 8, 2


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
        scale: where the map's metre comes from; None: nothing changes it.

    Attributes:
        places: index of the finished keyframes by appearance.
        measured_scale: depth comes from a sensor, so a loop does not correct scale.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> from e2e_slam_ros.tracking.tracking_keyframe import Observations
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
        self,
        local_map: LocalMap,
        lens: Lens,
        config: TrackingConfig,
        lock: threading.RLock,
        scale: MapScale | None = None,
    ) -> None:
        self._map = local_map
        self._lens = lens
        self._scale = MapScale(config.scale) if scale is None else scale
        self._config = config
        self._lock = lock
        self.places = PlaceIndex()
        self.measured_scale = False
        self._window = WindowAdjustment(local_map, lens, config, lock)
        self._loops = LoopClosing(local_map, lens, config, lock, self.places, self._window)
        self._last_wide = -1

    @property
    def loops(self) -> Sequence[tuple[int, int]]:
        """The (old, new) keyframes of each loop closed."""
        return self._loops.closed

    @property
    def warnings(self) -> deque[str]:
        """Sentences for the user, the oldest first."""
        return self._window.warnings

    def work(self, keyframe: TrackingKeyframe, hurried: bool = False) -> TrackUpdate:
        """Connect a keyframe with the map, adjust its neighbourhood, and return the changes.

        Args:
            keyframe: the new one.
            hurried: newer ones wait; leave what takes long to the last of them.
        """
        with self._lock:
            change = self._scale.take_stretch()
            if change is not None:
                stretch(self._map, change)
        before, config = keyframe.seen, self._config
        refine_tracks(self._map, keyframe, self._lens, self._lock)
        if config.reuse.enabled and not hurried:
            sigma = config.adjustment.pixel_sigma
            observe_again(self._map, keyframe, self._lens, config.reuse, sigma, self._lock)
        triangulate_tracks(self._map, keyframe, self._lens, self._lock)
        if not hurried:
            self._window.run(keyframe, self.measured_scale)
            self._adjust_widely(keyframe)
        self._describe(keyframe)
        # Keyframes of a map that stays as it is close no loops, and are not looked for later.
        temporary = config.localize_only
        if config.loop.enabled and not temporary and not hurried:
            if self._loops.work(keyframe, self.measured_scale):
                self._describe(keyframe)
        with self._lock:
            if not temporary:
                self.places.add(keyframe.descriptors)
            gone = before.ids[~np.isin(before.ids, keyframe.seen.ids)]
            return TrackUpdate(keyframe.index, keyframe.seen.ids, keyframe.seen.pixels, gone)

    def _adjust_widely(self, keyframe: TrackingKeyframe) -> None:
        """Adjust many keyframes with given poses, whose errors cancel over many alone."""
        # A small map is off in its scale, and quick to adjust.
        every = min(max(_WIDE_LEAST, keyframe.index // _WIDE_GROWTH), _WIDE_EVERY)
        if keyframe.given is None or keyframe.index - self._last_wide < every:
            return
        self._last_wide = keyframe.index
        oldest = max(0, keyframe.index - _WIDE + 1)
        self._loops.adjust_since(oldest, keyframe, self.measured_scale)

    def _describe(self, keyframe: TrackingKeyframe) -> None:
        corner = ~self._map.landmarks.edge[keyframe.seen.ids]
        ids, pixels = keyframe.seen.ids[corner], keyframe.seen.pixels[corner]
        descriptors = describe(keyframe.image, pixels)
        with self._lock:
            keyframe.described, keyframe.descriptors = ids, descriptors
