"""Text lists of a recording: one stamped entry a line. ``#`` starts a comment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.stamp import parse_stamp_ns


@dataclass(frozen=True)
class ListEntry:
    """One line of a list: its stamp and the words after it.

    >>> ListEntry(1_000_000_000, ("rgb/1.png",)).words
    ('rgb/1.png',)
    """

    stamp_ns: int
    words: tuple[str, ...]


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        DataError: the file cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError.from_parts(
            f"list {path}", problem, "a readable text file", "check the path and its permissions"
        ) from problem


def read_list(path: Path, words: int, report: ReaderReport) -> list[ListEntry]:
    """Return the entries of a list in time order.

    A line with fewer than ``words`` words after the stamp, or with a stamp that is not a number,
    is counted in ``report`` as "malformed line in <file>". A repeated stamp is counted as
    "repeated stamp in <file>", and its first entry is kept. A list that is not in time order is
    sorted, and a note says so.

    Raises:
        DataError: the file cannot be read.
    """
    entries: dict[int, ListEntry] = {}
    in_order = True
    last = -(2**63)
    for line in read_text(path).splitlines():
        fields = line.partition("#")[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            stamp_ns = parse_stamp_ns(fields[0])
        except ValueError:
            report.skip(f"malformed line in {path.name}")
            continue
        if len(fields) - 1 < words:
            report.skip(f"malformed line in {path.name}")
            continue
        if stamp_ns in entries:
            report.skip(f"repeated stamp in {path.name}")
            continue
        in_order = in_order and stamp_ns > last
        last = stamp_ns
        entries[stamp_ns] = ListEntry(stamp_ns, tuple(fields[1:]))
    if not in_order:
        report.note(f"{path.name} is not in time order; it was sorted")
    return [entries[stamp_ns] for stamp_ns in sorted(entries)]
