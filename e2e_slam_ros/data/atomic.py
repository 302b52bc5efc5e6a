"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from e2e_slam_ros.config.errors import DataError, E2ESlamError


@contextmanager
def open_atomic(path: Path | str, error: type[E2ESlamError] = DataError) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces ``path`` when the block ends without an exception.

    The bytes go to a hidden file beside ``path``, which is flushed to disk and then renamed:
    a reader never sees half a file, and an older file stays as it was when writing fails.
    Missing folders are made.

    Args:
        path: the file to write.
        error: class of the refusal, for callers whose errors have another name.

    Raises:
        DataError (or ``error``): the folder or file cannot be written, the disk is full.
    """
    path = Path(path)
    # Named by writer, so that two of them do not write into one another's file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as problem:
        raise write_error(path, problem, error) from problem
    finally:
        # The rename took it away; only a failed write leaves one.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_bytes_atomic(path: Path | str, data: bytes) -> None:
    """Write a file from bytes; errors as in `open_atomic`."""
    with open_atomic(path) as stream:
        stream.write(data)


def write_text_atomic(path: Path | str, text: str) -> None:
    """Write a UTF-8 file from text; errors as in `open_atomic`."""
    write_bytes_atomic(path, text.encode("utf-8"))


def write_error(
    path: Path, problem: OSError, error: type[E2ESlamError] = DataError
) -> E2ESlamError:
    """Return the refusal for a file that cannot be written."""
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    return error.from_parts(
        f"writing {path}",
        problem.strerror or problem,
        "room on the disk" if full else "a writable folder",
        "free space or choose another folder" if full else "choose another folder",
    )
