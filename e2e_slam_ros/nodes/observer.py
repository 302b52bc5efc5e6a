"""Observers of a run inside its process, such as the recorder of `e2e-slam replay`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.slam.result import KeyframeResult


class RunObserver(Protocol):
    """Interface of an observer. The executor and the mapping thread call it."""

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Handle a frame and its pose. None means that the frame has no pose."""

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Handle a mapped keyframe."""

    def on_latency(self, stage: str, ms: float) -> None:
        """Handle the run time of one pass through a stage, milliseconds."""


class Observers:
    """Several observers as one. A failing observer does not stop the run.

    Args:
        observers: called in this order; None is skipped.
        on_problem: called with ("viewer", error) when an observer raises.
    """

    def __init__(
        self, *observers: RunObserver | None, on_problem: Callable[[str, Exception | str], None]
    ) -> None:
        self._observers = tuple(item for item in observers if item is not None)
        self._on_problem = on_problem

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Pass a frame to all observers."""
        self._tell(lambda observer: observer.on_frame(stamp_ns, T_map_camera))

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Pass a keyframe to all observers."""
        self._tell(lambda observer: observer.on_keyframe(result))

    def on_latency(self, stage: str, ms: float) -> None:
        """Pass a latency to all observers."""
        self._tell(lambda observer: observer.on_latency(stage, ms))

    def _tell(self, call: Callable[[RunObserver], None]) -> None:
        for observer in self._observers:
            try:
                call(observer)
            except Exception as error:
                self._on_problem("viewer", error)
