"""The part of a run where depth is worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.evaluation.run.summary import KeyframeRecord

# A shorter run says little about its parts.
_FEWEST = 8
# Keyframes whose error exceeds the median by this factor make a passage a bad one.
_BAD = 1.5


@dataclass(frozen=True)
class Passage:
    """Consecutive keyframes with a large depth error.

    Attributes:
        first_frame, last_frame: numbers of the camera frames of its first and last keyframe.
        keyframes: number of its keyframes.
        abs_rel: their mean error.
        elsewhere: mean error of all other keyframes.

    Example:
        >>> str(Passage(285, 298, 14, abs_rel=0.3, elsewhere=0.09))
        'frames 285 to 298 (14 keyframes): 0.300; all others: 0.090'
    """

    first_frame: int
    last_frame: int
    keyframes: int
    abs_rel: float
    elsewhere: float

    def __str__(self) -> str:
        """Return the sentence of tables and charts."""
        one = self.keyframes == 1
        frames = (
            f"frame {self.first_frame}"
            if one
            else f"frames {self.first_frame} to {self.last_frame}"
        )
        count = "1 keyframe" if one else f"{self.keyframes} keyframes"
        return f"{frames} ({count}): {self.abs_rel:.3f}; all others: {self.elsewhere:.3f}"


def worst_passage(records: Sequence[KeyframeRecord]) -> Passage | None:
    """Return the passage whose errors exceed the usual one by most in sum.

    It is the subarray of the largest sum (Bentley 1984) of error minus one and a half times the
    median error. A passage may therefore contain single good keyframes, and a single very bad
    keyframe is one.

    Args:
        records: of a run, in order. Those without true depth are left out.

    Returns:
        None with fewer than eight errors, or where no error is far above the median.
    """
    judged = [record for record in records if record.depth is not None]
    errors = np.array([r.depth.abs_rel for r in judged if r.depth is not None], dtype=np.float64)
    if len(errors) < _FEWEST or not np.isfinite(errors).all():
        return None
    sums = np.concatenate([[0.0], np.cumsum(errors - _BAD * np.median(errors))])
    lowest = np.minimum.accumulate(sums)
    end = int(np.argmax(sums - lowest))
    if sums[end] - lowest[end] <= 0.0:
        return None
    start = int(np.argmin(sums[: end + 1]))
    inside = np.zeros(len(errors), dtype=bool)
    inside[start:end] = True
    return Passage(
        judged[start].frame_index,
        judged[end - 1].frame_index,
        end - start,
        float(errors[inside].mean()),
        float(errors[~inside].mean()) if not inside.all() else float("nan"),
    )
