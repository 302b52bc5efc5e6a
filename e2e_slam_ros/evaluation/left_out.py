"""The frames that an evaluation leaves out."""

from __future__ import annotations

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.evaluation.score_table import counted


class LeftOut:
    """Counts of frames by reason.

    Attributes:
        counts: reason -> number of frames.
        first_problem: text of the first error; "" when there was none.

    >>> left_out = LeftOut()
    >>> left_out.add("no pose")
    >>> left_out.counts
    {'no pose': 1}
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first_problem = ""

    def add(self, reason: str, problem: object = "") -> None:
        """Count a frame, with the error that was the reason."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first_problem = self.first_problem or str(problem)

    def refusal(self, frames: int, needed: str, do: str, depth: DepthConfig) -> DataError:
        """Return the error of a sequence of ``frames`` frames, none of which could be scored."""
        reasons = ", ".join(counted(self.counts))
        if self.first_problem:
            reasons += f"; the first problem: {self.first_problem}"
        return DataError.from_parts(
            "frames to evaluate",
            f"none of {frames:,} that could be compared: {reasons}",
            f"{needed} between depth.min_m = {depth.min_m:g} and depth.max_m = {depth.max_m:g} m",
            do,
        )
