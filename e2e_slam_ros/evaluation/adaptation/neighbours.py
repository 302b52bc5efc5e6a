"""The frames of a recording around a frame that were taken from elsewhere."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.evaluation.left_out import LeftOut

# Frames kept: neighbours of one frame are mostly those of the next.
_KEPT = 64
# Frames looked at in one direction: three seconds of a 30 Hz camera.
_FARTHEST = 90


class Neighbourhood:
    """Frames with poses by position, the latest kept, and their neighbours.

    Args:
        apart_m: least distance of a neighbour from the frame and from nearer neighbours, metres.
        left_out: counts the frames that cannot be read or have no pose.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 3, 32, 24, rate_hz=2.0, texture_size=64)
    >>> [frame.index for frame in Neighbourhood(reader, 0.01, LeftOut()).earlier(2, count=1)]
    [1]
    """

    def __init__(self, reader: FrameReader, apart_m: float, left_out: LeftOut) -> None:
        self._reader, self._apart_m, self._left_out = reader, apart_m, left_out
        self._kept: OrderedDict[int, Frame | None] = OrderedDict()

    def at(self, position: int) -> Frame | None:
        """Return a frame, or None where it cannot be read or has no pose."""
        if position not in self._kept:
            self._kept[position] = self._read(position)
        self._kept.move_to_end(position)
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

    def _read(self, position: int) -> Frame | None:
        try:
            frame = self._reader[position]
        except E2ESlamError as problem:
            self._left_out.add("unreadable", problem)
            return None
        if frame.T_map_camera is None:
            self._left_out.add("no pose")
            return None
        return frame

    def _apart(self, position: int, candidates: range, count: int) -> list[Frame]:
        target = self.at(position)
        if target is None or count == 0:
            return []
        chosen: list[Frame] = []
        nearest: list[Frame] = []
        for frame in map(self.at, candidates):
            if frame is None:
                continue
            nearest = nearest or [frame]
            if all(_distance(frame, other) >= self._apart_m for other in (target, *chosen)):
                chosen.append(frame)
            if len(chosen) == count:
                break
        # A camera that only turns: the refusal of the refinement shall say so.
        return chosen or nearest


def _distance(one: Frame, other: Frame) -> float:
    assert one.T_map_camera is not None and other.T_map_camera is not None
    return float(np.linalg.norm(one.T_map_camera[:3, 3] - other.T_map_camera[:3, 3]))
