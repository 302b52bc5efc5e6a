"""The frames of a recording around a frame that were taken from elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader

# Frames kept: neighbours of one frame are mostly those of the next.
_KEPT = 64
# Frames looked at in one direction: three seconds of a 30 Hz camera.
_FARTHEST = 90


class Neighbourhood:
    """Frames with poses by position, the latest kept, and their neighbours.

    Attributes:
        skipped: reason -> number of frames left out for it.
        first_problem: message of the first frame that could not be read; "" if all could.

    Args:
        reader: the recording.
        apart_m: least distance of a neighbour from the frame and from nearer neighbours, metres.
    """

    def __init__(self, reader: FrameReader, apart_m: float) -> None:
        self._reader, self._apart_m = reader, apart_m
        self._kept: OrderedDict[int, Frame | None] = OrderedDict()
        self.skipped: dict[str, int] = {}
        self.first_problem = ""

    def at(self, position: int) -> Frame | None:
        """Return a frame, or None where it cannot be read or has no pose."""
        if position in self._kept:
            self._kept.move_to_end(position)
            return self._kept[position]
        self._kept[position] = self._read(position)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[position]

    def earlier(self, position: int, count: int) -> list[Frame]:
        """Return up to ``count`` frames before, nearest in time first."""
        first = max(-1, position - 1 - _FARTHEST)
        return self._apart(position, range(position - 1, first, -1), count)

    def later(self, position: int, count: int) -> list[Frame]:
        """Return up to ``count`` frames after, nearest in time first."""
        last = min(len(self._reader), position + 1 + _FARTHEST)
        return self._apart(position, range(position + 1, last), count)

    def skip(self, reason: str, problem: str = "") -> None:
        """Count a frame that is left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        self.first_problem = self.first_problem or problem

    def _read(self, position: int) -> Frame | None:
        try:
            frame = self._reader[position]
        except E2ESlamError as problem:
            self.skip("unreadable", str(problem))
            return None
        if frame.T_map_camera is None:
            self.skip("no pose")
            return None
        return frame

    def _apart(self, position: int, candidates: range, count: int) -> list[Frame]:
        target = self.at(position)
        if target is None or count == 0:
            return []
        chosen: list[Frame] = []
        nearest = None
        for frame in self._readable(candidates):
            nearest = nearest or frame
            if all(_distance(frame, other) >= self._apart_m for other in (target, *chosen)):
                chosen.append(frame)
            if len(chosen) == count:
                break
        # A camera that only turns: the refusal of the refinement shall say so.
        return chosen or ([nearest] if nearest is not None else [])

    def _readable(self, candidates: range) -> Iterator[Frame]:
        for position in candidates:
            frame = self.at(position)
            if frame is not None:
                yield frame


def _distance(one: Frame, other: Frame) -> float:
    assert one.T_map_camera is not None and other.T_map_camera is not None
    return float(np.linalg.norm(one.T_map_camera[:3, 3] - other.T_map_camera[:3, 3]))
