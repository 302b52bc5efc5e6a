"""Archives of furniture by their path, read once in a process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary, refused


def load_furniture(path: str | Path) -> FurnitureLibrary:
    """Return an archive's library.

    Raises:
        DataError: missing, damaged, or no archive of furniture.
    """
    return _loaded(*_identity(path))


def furniture_digest(path: str | Path) -> str:
    """Return the SHA-256 of an archive's bytes, in hexadecimal digits.

    Raises:
        DataError: the file cannot be read.
    """
    return _digest(*_identity(path))


def _identity(path: str | Path) -> tuple[Path, int]:
    """Return the file and its time of change: a changed file is read again."""
    file = Path(path).expanduser()
    try:
        return file, file.stat().st_mtime_ns
    except OSError as problem:
        raise refused(file, problem) from problem


@lru_cache(maxsize=2)
def _loaded(path: Path, stamp: int) -> FurnitureLibrary:
    del stamp
    return FurnitureLibrary.load(path)


@lru_cache(maxsize=2)
def _digest(path: Path, stamp: int) -> str:
    del stamp
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as problem:
        raise refused(path, problem) from problem
