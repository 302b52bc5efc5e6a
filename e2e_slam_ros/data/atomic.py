"""Atomic writes: a file appears completely or not at all."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from e2e_slam_ros.config.errors import DataError, E2ESlamError

_LEFT_OVER_S = 60.0


@contextmanager
def open_atomic(path: Path | str, error: type[E2ESlamError] = DataError) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces ``path`` when the block ends without an exception.

    The bytes go to a hidden file beside ``path``. At the end it is flushed to disk and renamed. A
    reader therefore never sees half a file, and an older file survives a failed write. Missing
    folders are created.

    Args:
        error: class of the raised error, for callers with an error class of their own.

    Raises:
        DataError (or ``error``): the folder or file cannot be written, or the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_atomic(Path(folder) / "map.bin") as file:
    ...         _ = file.write(b"12")
    ...     (Path(folder) / "map.bin").read_bytes()
    b'12'
    """
    path = Path(path)
    # The name holds the writer, so that two writers do not share a file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(path)
        # Never through a link that somebody put there.
        partial.unlink(missing_ok=True)
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as problem:
        raise write_error(path, problem, error) from problem
    finally:
        # After the rename the hidden file is gone. Only a failed write leaves one.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _remove_left_over(path: Path) -> None:
    """Remove what a killed writer of ``path`` left.

    Its process is gone and has not written for a minute: a process of another container that
    writes into the same folder is not seen here.
    """
    hidden = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.\d+\.partial")
    for found in path.parent.glob(".*.partial"):
        if (writer := hidden.fullmatch(found.name)) is None:
            continue
        with suppress(OSError):
            age_s = time.time() - found.stat().st_mtime
            if age_s > _LEFT_OVER_S and not _runs(int(writer[1])):
                found.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def made_folder(path: Path, error: type[E2ESlamError] = DataError) -> Iterator[Path]:
    """Make a folder that can be written; when the block fails with nothing in it, take it away.

    Raises:
        DataError (or ``error``): it cannot be written.
    """
    # Path.exists raises for an impossible path. Such a path is refused with a reason below.
    made = [item for item in (path, *path.parents) if not os.path.lexists(item)]
    try:
        require_writable(path, error)
        yield path
    except BaseException:
        for item in made:
            with suppress(OSError):  # not empty, or never made
                item.rmdir()
        raise


def require_writable(folder: Path, error: type[E2ESlamError] = DataError) -> None:
    """Make a folder, and refuse it unless a file can be written in it.

    Permissions are not enough: a file system can be read-only, and root may do anything.
    """
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as problem:
        raise write_error(folder, problem, error) from problem


def write_bytes_atomic(path: Path | str, data: bytes) -> None:
    """Write a file from bytes. Errors are as in `open_atomic`."""
    with open_atomic(path) as stream:
        stream.write(data)


def write_text_atomic(path: Path | str, text: str) -> None:
    """Write a UTF-8 file from text. Errors are as in `open_atomic`."""
    write_bytes_atomic(path, text.encode("utf-8"))


def write_error(
    path: Path, problem: OSError, error: type[E2ESlamError] = DataError
) -> E2ESlamError:
    """Return the error for a file that cannot be written."""
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    return error.from_parts(
        f"writing {path}",
        problem.strerror or problem,
        "room on the disk" if full else "a writable folder",
        "free space or choose another folder" if full else "choose another folder",
    )
