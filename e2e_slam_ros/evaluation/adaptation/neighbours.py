"""The frames before and after a frame, taken from other places."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.working_frames import WorkingFrames

# Frames kept: neighbours of one frame are mostly those of the next.
_KEPT = 64
# Frames looked at in one direction: three seconds of a 30 Hz camera.
_FARTHEST = 90


class Neighbourhood:
    """Frames of a recording by position, and their neighbours; keeps the latest in memory.

    Args:
        frames: read from; counts what cannot be read.
        apart_m: smallest distance of a neighbour from the frame and from the other
            neighbours, metres.
    """

    def __init__(self, frames: WorkingFrames, apart_m: float) -> None:
        self._frames, self._apart_m = frames, apart_m
        self._kept: OrderedDict[int, Keyframe | None] = OrderedDict()

    def at(self, position: int) -> Keyframe | None:
        """Return a frame, or None where it cannot be read or has no pose."""
        if position in self._kept:
            self._kept.move_to_end(position)
            return self._kept[position]
        found = next(iter(self._frames.at([position])), None)
        if found is not None and not self._frames.has_pose(found):
            self._frames.skip("no pose")
            found = None
        self._kept[position] = found
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def earlier(self, position: int, count: int) -> list[Keyframe]:
        """Return up to ``count`` frames before, nearest in time first."""
        first = max(-1, position - 1 - _FARTHEST)
        return self._apart(position, range(position - 1, first, -1), count)

    def later(self, position: int, count: int) -> list[Keyframe]:
        """Return up to ``count`` frames after, nearest in time first."""
        last = min(len(self._frames), position + 1 + _FARTHEST)
        return self._apart(position, range(position + 1, last), count)

    def _apart(self, position: int, candidates: range, count: int) -> list[Keyframe]:
        target = self.at(position)
        if target is None or count == 0:
            return []
        chosen: list[Keyframe] = []
        nearest = None
        for frame in self._readable(candidates):
            nearest = nearest or frame
            if all(_distance(frame, other) >= self._apart_m for other in (target, *chosen)):
                chosen.append(frame)
            if len(chosen) == count:
                break
        # A camera that only turns: whoever refines shall say so.
        return chosen or ([nearest] if nearest is not None else [])

    def _readable(self, candidates: range) -> Iterator[Keyframe]:
        for position in candidates:
            frame = self.at(position)
            if frame is not None:
                yield frame


def _distance(one: Keyframe, other: Keyframe) -> float:
    return float((one.T_map_camera[:3, 3] - other.T_map_camera[:3, 3]).norm())
