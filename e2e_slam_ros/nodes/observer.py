"""Who watches a run from inside its process (the recorder of `e2e-slam replay`)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.keyframe import KeyframeResult


class RunObserver(Protocol):
    """Called from the executor and the mapping thread."""

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Learn of a frame and its pose; None when it got none."""

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Learn of a mapped keyframe."""

    def on_latency(self, stage: str, ms: float) -> None:
        """Learn how long one pass through a stage took."""
