"""States of the visual tracker over a run, and its landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.state import TrackingState


@dataclass(frozen=True, eq=False)
class TrackingHistory:
    """States and landmarks of the visual tracker.

    Attributes:
        stamps_ns: (N,) int64, of every frame.
        states: after each frame.
        inliers: (N,) int64, landmarks that agree with the pose; 0 without a pose.
        landmarks: (L, 3) float64 in the map, metres.

    Example:
        >>> states = [(0, TrackingState.TRACKING, 90), (10**9, TrackingState.LOST, 0)]
        >>> history = TrackingHistory.of(states, np.zeros((5, 3)))
        >>> history.to_metrics()
        {'frames': {'tracking': 1, 'lost': 1}, 'times_lost': 1, 'landmarks': 5}
    """

    stamps_ns: npt.NDArray[np.int64]
    states: tuple[TrackingState, ...]
    inliers: npt.NDArray[np.int64]
    landmarks: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        states: Sequence[tuple[int, TrackingState, int]],
        landmarks: npt.NDArray[np.float64] | None,
    ) -> TrackingHistory | None:
        """Return the history of (stamp in ns, state, inliers); None where nothing was tracked."""
        if not states:
            return None
        ordered = sorted(states, key=lambda item: item[0])
        return cls(
            np.array([stamp for stamp, _, _ in ordered], dtype=np.int64),
            tuple(state for _, state, _ in ordered),
            np.array([inliers for _, _, inliers in ordered], dtype=np.int64),
            np.zeros((0, 3)) if landmarks is None else landmarks,
        )

    @property
    def times_lost(self) -> int:
        """Number of times that the camera got lost."""
        lost = np.array([state is TrackingState.LOST for state in self.states])
        return int((np.diff(lost.astype(int), prepend=0) > 0).sum())

    def to_metrics(self) -> dict[str, Any]:
        """Return the figures for metrics.json."""
        counts = {state.value: self.states.count(state) for state in TrackingState}
        frames = {name: count for name, count in counts.items() if count}
        return {
            "frames": frames,
            "times_lost": self.times_lost,
            "landmarks": len(self.landmarks),
        }
