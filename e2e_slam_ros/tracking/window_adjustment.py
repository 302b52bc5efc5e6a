"""Adjustment of the newest keyframes, and its by-products: readout time and focal length."""

from __future__ import annotations

import threading
from collections import deque

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.focal_check import FocalCheck, fit_focal
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.shutter import ShutterEstimate
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe

# One adjustment in so many is repeated with other focal lengths.
_FOCAL_EVERY = 8


class WindowAdjustment:
    """Adjusts a keyframe together with those before it.

    Args:
        local_map: shared with the front end.
        lens: of the camera; its readout time follows the images where it is to be learned.
        config: the tracker's parameters.
        lock: held during reads and writes of the map, never during computation.

    Attributes:
        warnings: sentences for the user, the oldest first.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> window = WindowAdjustment(
        ...     LocalMap(), Lens(camera), TrackingConfig(), threading.RLock()
        ... )
        >>> list(window.warnings)
        []
    """

    def __init__(
        self, local_map: LocalMap, lens: Lens, config: TrackingConfig, lock: threading.RLock
    ) -> None:
        self._map = local_map
        self._lens = lens
        self._settings = config.adjustment
        self._lock = lock
        self.warnings: deque[str] = deque()
        self._focal_check = FocalCheck()
        # A loaded map was made with the readout time that its file gives.
        self._learns_shutter = config.readout_s < 0.0 and not local_map.fixed
        self._shutter = ShutterEstimate()
        self._shutter.readout_s = lens.readout_s

    def run(self, keyframe: TrackingKeyframe, measured_scale: bool) -> None:
        """Adjust the keyframes up to the given one.

        Args:
            keyframe: the newest to adjust.
            measured_scale: depth is measured, so that a wrong focal length can be told.
        """
        settings, moving = self._settings, self._moving(keyframe)
        with self._lock:
            posed = self._map.problem(
                moving, settings.fixed, self._lens, settings.pixel_sigma, self._learns_shutter
            )
        if posed is None:
            return
        problem, cameras, ids = posed
        if measured_scale or problem.priors is not None:
            self._check_focal(keyframe)
        solution = adjust(problem, settings.iterations)
        with self._lock:
            self._map.accept(problem, solution, cameras, ids)
            if self._learns_shutter and self._shutter.learn(
                solution.readout_change_s, solution.readout_sigma_s
            ):
                self._lens.readout_s = self._shutter.readout_s
                for old in self._map.keyframes:
                    old.seen.ideal = self._lens.ideal(old.seen.pixels, old.turning)

    def _moving(self, keyframe: TrackingKeyframe) -> list[int]:
        return list(range(max(0, keyframe.index - self._settings.window + 1), keyframe.index + 1))

    def _check_focal(self, keyframe: TrackingKeyframe) -> None:
        """Doubt the calibration where another focal length fits much better."""
        if keyframe.index % _FOCAL_EVERY != _FOCAL_EVERY - 1:
            return
        # Older keyframes were placed with the stated focal length, and would vouch for it.
        with self._lock:
            alone = self._map.problem(
                self._moving(keyframe), 0, self._lens, self._settings.pixel_sigma
            )
        if alone is not None:
            warning = self._focal_check.add(fit_focal(alone[0]))
            if warning:
                self.warnings.append(warning)
