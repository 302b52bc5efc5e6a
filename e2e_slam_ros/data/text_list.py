"""Text lists of a recording: one stamped entry a line. ``#`` starts a comment."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.stamp import parse_stamp_ns

# Lists of hours at camera rate have a few MB.
_MOST_BYTES = 256 << 20
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?$")
# Byte order marks; without one, a NUL in every second byte tells UTF-16.
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A whole number this large counts smaller units than seconds (1e11 s is the year 5138).
_UNITS = ((10**17, 1, "nanoseconds"), (10**14, 10**3, "microseconds"), (10**11, 10**6, "ms"))
# Stamps have 64 bits.
_LIMIT_NS = 2**63


@dataclass(frozen=True)
class ListEntry:
    """One line of a list: its stamp and the words after it.

    >>> ListEntry(1_000_000_000, ("rgb/1.png",)).words
    ('rgb/1.png',)
    """

    stamp_ns: int
    words: tuple[str, ...]


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16.

    Raises:
        DataError: the file cannot be read as text, or is larger than 256 MiB.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise OSError(f"{path.stat().st_size >> 20} MiB")
        content = path.read_bytes()
        code = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
        if code == "utf-8-sig" and content[1:2] == b"\0" and content[3:4] in (b"\0", b""):
            code = "utf-16-le"
        text = content.decode(code)
        if "\0" in text:
            raise ValueError("bytes that are no text")
        return text
    except (OSError, ValueError) as problem:
        raise DataError.from_parts(
            f"list {path}", problem, "a readable text file", "check the path and its permissions"
        ) from problem


def words_of(line: str) -> list[str]:
    """Return the words of a line without its comment.

    Words are separated by spaces, tabs, commas or semicolons, and may be in quotes. A comma
    between digits is a decimal comma where spaces separate the words.

    >>> words_of('1,5 rgb/1.png  # first'), words_of('1.5,"rgb/a b.png"')
    (['1.5', 'rgb/1.png'], ['1.5', 'rgb/a b.png'])
    """
    line = line.partition("#")[0].strip()
    if '"' in line or "'" in line:
        try:
            reader = shlex.shlex(line, posix=True)
            reader.whitespace, reader.whitespace_split = " \t,;", True
            reader.escape, reader.commenters = "", ""
            return list(reader)
        except ValueError:  # a quote that never ends
            line = line.replace('"', " ").replace("'", " ")
    words = line.replace(";", " ").split()
    if len(words) > 1 and any(_DECIMAL_COMMA.match(word) for word in words):
        return [w.replace(",", ".") if _DECIMAL_COMMA.match(w) else w for w in words]
    return line.replace(",", " ").replace(";", " ").split()


def stamp_of_word(word: str, report: ReaderReport, name: str) -> int:
    """Return a stamp in seconds as nanoseconds; a very large whole number counts smaller units.

    Raises:
        ValueError: not a time.

    >>> stamp_of_word("1403636579763555584", ReaderReport(), "data.csv")
    1403636579763555584
    """
    if word.isdecimal():
        for limit, factor, unit in _UNITS:
            if limit <= int(word) < limit * 10**3:
                if int(word) * factor >= _LIMIT_NS:
                    raise ValueError(f"{word!r} is not a time")
                report.note(f"{name}: stamps are whole numbers, read as {unit}")
                return int(word) * factor
    return parse_stamp_ns(word)


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
        fields = words_of(line)
        if not fields:
            continue
        try:
            stamp_ns = stamp_of_word(fields[0], report, path.name)
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


def listed_file(folder: Path, word: str) -> Path | None:
    """Return the file that a list names; None if it does not exist or is outside the folder.

    Backslashes of Windows stand for slashes.
    """
    for text in (word, word.replace("\\", "/")):
        path = folder / text
        try:
            # Files of a list lie in its folder. What points elsewhere is not part of it.
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return path
        except (OSError, ValueError):  # a name that no file can have
            continue
    return None
