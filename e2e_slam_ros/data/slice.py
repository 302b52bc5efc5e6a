"""A range of frames of a sequence."""

from __future__ import annotations

import re

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.sequence import WrappedReader


def parse_frames(text: str) -> tuple[int | None, int | None]:
    """Return ``(start, stop)`` of "A:B", "A:", ":B" or ":". None means an open end.

    The range holds frames A to B - 1. Negative numbers count from the end, as in Python.

    Raises:
        DataError: any other text.

    >>> parse_frames("250:373"), parse_frames(":-10")
    ((250, 373), (None, -10))
    """
    found = re.fullmatch(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*", text)
    if found is None:
        raise DataError.from_parts(
            "frames", repr(text), "A:B with whole numbers, either may be left out", "e.g. 0:100"
        )
    start, stop = found.groups()
    return (None if start is None else int(start)), (None if stop is None else int(stop))


class FrameSlice(WrappedReader):
    """Frames ``start`` to ``stop`` - 1 of a reader, as a `FrameReader`.

    Indices of the slice count from 0. ``Frame.index`` stays the index in the whole sequence.

    Args:
        start: first frame; None = 0. A negative number counts from the end.
        stop: one past the last frame; None or a larger number = the end.

    Raises:
        DataError: the range holds no frame.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> part = FrameSlice(ProceduralReader(0, 3, 32, 24, texture_size=64), 1, None)
    >>> len(part), part[0].index
    (2, 1)
    """

    def __init__(
        self, reader: FrameReader, start: int | None = None, stop: int | None = None
    ) -> None:
        super().__init__(reader)
        self._range = range(*slice(start, stop).indices(len(reader)))
        if not self._range:
            raise DataError.from_parts(
                "frames",
                f"{'' if start is None else start}:{'' if stop is None else stop}",
                f"a range within the {len(reader)} frames of {reader.name}",
                "choose other frames",
            )

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, index: int) -> Frame:
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        return self._reader[self._range[index]]
