"""Base of the readers: indexing, iteration and counts of unreadable frames."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame, FrameReader, ReaderReport


class SequenceReader(ABC):
    """Base class of the readers. A subclass defines ``__len__`` and ``_read``.

    ``reader[i]`` raises `DataError` for an unreadable frame. ``for frame in reader`` leaves it
    out. Both count it in ``report``, once for each frame. Several threads may read frames.

    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> import numpy as np
    >>> class Black(SequenceReader):
    ...     def __len__(self) -> int:
    ...         return 2
    ...     def _read(self, index: int) -> Frame:
    ...         camera = PinholeCamera(4, 3, 4.0, 4.0, 1.5, 1.0)
    ...         return Frame(index, 0, np.zeros((3, 4, 3), np.uint8), camera)
    >>> [frame.index for frame in Black("black", ReaderReport())]
    [0, 1]
    """

    def __init__(self, name: str, report: ReaderReport) -> None:
        self._name = name
        self._report = report
        self._lock = threading.Lock()
        self._counted: set[tuple[str, int]] = set()

    @property
    def name(self) -> str:
        """Short name of the sequence, for titles and file names."""
        return self._name

    @property
    def report(self) -> ReaderReport:
        """Counts of left-out entries, and notes."""
        return self._report

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Decode frame ``index`` (0 <= index < len).

        Raises:
            DataError: the frame is unreadable.
        """

    def __getitem__(self, index: int) -> Frame:
        """Return frame ``index``. A negative index counts from the end.

        Raises:
            DataError: the frame is unreadable.
        """
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        try:
            return self._read(position)
        except DataError as problem:
            self._count_once("unreadable frame", position, str(problem))
            raise

    def __iter__(self) -> Iterator[Frame]:
        """Yield the readable frames in order.

        Raises:
            DataError: no frame is readable. It is the error of the first frame.
        """
        return iterate_readable(self)

    def _count_once(self, reason: str, index: int, example: str) -> None:
        """Count frame ``index`` under ``reason``.

        The problem of the first such frame becomes a note.
        """
        with self._lock:
            if (reason, index) in self._counted:
                return
            self._counted.add((reason, index))
            if reason not in self._report.skipped:
                self._report.note(f"{reason}: {example}")
            self._report.skip(reason)


class WrappedReader:
    """A `FrameReader` that forwards to another reader. Subclasses override what they change.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> WrappedReader(ProceduralReader(0, 2, 32, 24, texture_size=64)).name
    'procedural_0'
    """

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        """Name of the wrapped sequence."""
        return self._reader.name

    @property
    def report(self) -> ReaderReport:
        """Report of the wrapped reader."""
        return self._reader.report

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> Frame:
        return self._reader[index]

    def __iter__(self) -> Iterator[Frame]:
        """Yield the readable frames in order.

        Raises:
            DataError: no frame is readable. It is the error of the first frame.
        """
        return iterate_readable(self)


class PreloadedReader(WrappedReader):
    """A sequence decoded in advance, so that it can be played faster than it is made.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> scene = ProceduralReader(0, 2, 32, 24, texture_size=64)
    >>> len(PreloadedReader(scene, list(scene)))
    2
    """

    def __init__(self, reader: FrameReader, frames: Sequence[Frame]) -> None:
        super().__init__(reader)
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Frame:
        return self._frames[index]


def iterate_readable(reader: FrameReader) -> Iterator[Frame]:
    """Yield the readable frames of a reader in order.

    Raises:
        DataError: no frame is readable. It is the error of the first frame.
    """
    first_problem: DataError | None = None
    yielded = False
    for index in range(len(reader)):
        try:
            frame = reader[index]
        except DataError as problem:
            first_problem = first_problem or problem
            continue
        yielded = True
        yield frame
    if first_problem is not None and not yielded:
        raise first_problem
