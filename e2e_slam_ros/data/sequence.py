"""What every recorded sequence does alike: indexing, iterating, counting what is unreadable."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame, FrameReader, ReaderReport


class SequenceReader(ABC):
    """Base of the readers: a `FrameReader` once ``__len__`` and ``_read`` are written.

    ``reader[i]`` raises `DataError` when frame i is unreadable; ``for frame in reader`` leaves
    such frames out. Both count it in ``report``, once a frame however often it is asked for.
    Frames may be asked for from several threads.
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
        """What was left out and why."""
        return self._report

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Decode frame ``index`` (0 <= index < len); raise `DataError` when it cannot be."""

    def __getitem__(self, index: int) -> Frame:
        """Return frame ``index`` (negative: from the end); raise `DataError` if unreadable."""
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
            DataError: not one of them is readable (that of the first).
        """
        return iterate_readable(self)

    def _count_once(self, reason: str, index: int, example: str) -> None:
        """Count frame ``index`` under ``reason``; the first one's problem becomes a note."""
        with self._lock:
            if (reason, index) in self._counted:
                return
            self._counted.add((reason, index))
            if reason not in self._report.skipped:
                self._report.note(f"{reason}: {example}")
            self._report.skip(reason)


class WrappedReader:
    """A `FrameReader` that passes another one on; derive from it and change what differs."""

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        """Name of the wrapped sequence."""
        return self._reader.name

    @property
    def report(self) -> ReaderReport:
        """What the wrapped reader left out and why."""
        return self._reader.report

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> Frame:
        return self._reader[index]

    def __iter__(self) -> Iterator[Frame]:
        """Yield the readable frames in order; all unreadable: `DataError` of the first."""
        return iterate_readable(self)


def check_tolerance(name: str, value: float) -> None:
    """Raise `DataError` unless a tolerance in seconds is a number of at least 0."""
    if not value >= 0.0:
        raise DataError.from_parts(name, value, "seconds, at least 0", "0.02 suits 30 Hz cameras")


def iterate_readable(reader: FrameReader) -> Iterator[Frame]:
    """Yield the readable frames of a reader in order.

    Raises:
        DataError: not one of them is readable (that of the first).
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
