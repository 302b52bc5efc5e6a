"""Observers of a run: the recorder of its figures, and viewers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.tracking.state import TrackedPose

# Copies at most so many points of the map, evenly thinned.
TakeSnapshot: TypeAlias = Callable[[int], SurfelCloud]


class RunObserver:
    """Is told what happens in a run; subclasses override what they need.

    The receiving thread calls `on_image` and `on_frame`, the mapping thread `on_keyframe` and
    `on_map`, both `on_latency`. A call must return soon: it holds the run up.

    Example:
        >>> RunObserver().on_latency("fuse", 3.0)
    """

    def on_image(self, frame: Frame, tracked: TrackedPose | None) -> None:
        """Handle a camera frame; ``tracked`` is the visual tracker's result, if there is one."""

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Handle a frame and its pose. None means that the frame has no pose."""

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Handle a mapped keyframe."""

    def on_map(self, take_snapshot: TakeSnapshot) -> None:
        """Handle a change of the map; the snapshot may be taken now, and not later."""

    def on_latency(self, stage: str, ms: float) -> None:
        """Handle the run time of one pass through a stage, milliseconds."""


class Observers(RunObserver):
    """Several observers as one. A failing observer does not stop the run.

    Args:
        observers: called in this order; None is skipped.
        on_problem: called with ("viewer", error) when an observer raises.

    Example:
        >>> Observers(RunObserver(), None, on_problem=print).on_latency("fuse", 3.0)
    """

    def __init__(
        self, *observers: RunObserver | None, on_problem: Callable[[str, Exception | str], None]
    ) -> None:
        self._observers = tuple(item for item in observers if item is not None)
        self._on_problem = on_problem

    def on_image(self, frame: Frame, tracked: TrackedPose | None) -> None:
        """Pass an image to all observers."""
        self._tell(lambda observer: observer.on_image(frame, tracked))

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Pass a frame to all observers."""
        self._tell(lambda observer: observer.on_frame(stamp_ns, T_map_camera))

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Pass a keyframe to all observers."""
        self._tell(lambda observer: observer.on_keyframe(result))

    def on_map(self, take_snapshot: TakeSnapshot) -> None:
        """Pass a change of the map to all observers."""
        self._tell(lambda observer: observer.on_map(take_snapshot))

    def on_latency(self, stage: str, ms: float) -> None:
        """Pass a latency to all observers."""
        self._tell(lambda observer: observer.on_latency(stage, ms))

    def _tell(self, call: Callable[[RunObserver], None]) -> None:
        for observer in self._observers:
            try:
                call(observer)
            except Exception as error:
                self._on_problem("viewer", error)
