"""Who watches a run from inside its process (the recorder of `e2e-slam replay`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.slam.result import KeyframeResult


class RunObserver(Protocol):
    """Called from the executor and the mapping thread."""

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Learn of a frame and its pose; None when it got none."""

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Learn of a mapped keyframe."""

    def on_latency(self, stage: str, ms: float) -> None:
        """Learn how long one pass through a stage took."""


class Observers:
    """Several observers as one, which never fails: the run must not suffer from who watches it.

    Args:
        observers: called in this order; None among them is left out.
        on_problem: called with ("viewer", error) when one of them raises.
    """

    def __init__(
        self,
        *observers: RunObserver | None,
        on_problem: Callable[[str, Exception | str], None],
    ) -> None:
        self._observers = tuple(item for item in observers if item is not None)
        self._on_problem = on_problem

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Pass a frame on."""
        self._tell(lambda observer: observer.on_frame(stamp_ns, T_map_camera))

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Pass a keyframe on."""
        self._tell(lambda observer: observer.on_keyframe(result))

    def on_latency(self, stage: str, ms: float) -> None:
        """Pass a latency on."""
        self._tell(lambda observer: observer.on_latency(stage, ms))

    def _tell(self, call: Callable[[RunObserver], None]) -> None:
        for observer in self._observers:
            try:
                call(observer)
            except Exception as error:
                self._on_problem("viewer", error)
