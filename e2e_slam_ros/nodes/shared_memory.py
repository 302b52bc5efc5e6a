"""Shared memory that Fast DDS leaves behind when a process is killed."""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
# Each segment has a file that its process holds a lock on. Fast DDS 2 and 3 name it differently.
_LOCK = re.compile(r"fast(rtps|dds)_[0-9a-f]{16}_el")
# A process makes the file, and locks it a moment later.
_YOUNG_S = 10.0


def remove_leftovers(folder: Path = SHARED_MEMORY) -> int:
    """Remove the segments of processes that are gone, and return their bytes.

    A process that is killed leaves its segment in memory until the machine restarts: 17 MB for one
    of ours. `fastdds shm clean` removes it by the same rule, if somebody calls it. Segments of
    other users stay.

    Args:
        folder: where Fast DDS keeps them.
    """
    removed = 0
    with suppress(OSError):
        for lock in folder.iterdir():
            if _LOCK.fullmatch(lock.name) and _is_left(lock):
                segment = lock.with_name(lock.name.removesuffix("_el"))
                removed += _remove(segment)
                _remove(lock)
    return removed


def _is_left(lock: Path) -> bool:
    """Return whether nobody holds a lock."""
    try:
        if time.time() - lock.stat().st_mtime < _YOUNG_S:
            return False
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, gone, or of another user
        return False
    return True


def _remove(path: Path) -> int:
    """Remove a file; return its bytes, 0 if it cannot be removed."""
    try:
        size = path.stat().st_size
        os.unlink(path)
    except OSError:
        return 0
    return size
