"""Where results go: found out before the work, not after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from e2e_slam_ros.config.errors import DataError


def output_file(path: Path | None) -> Path | None:
    """Return the absolute path of a file that can be written; nothing is made.

    Raises:
        DataError: it is a folder, or the folder it would be in cannot be written to.
    """
    if path is None:
        return None
    target = path.expanduser().absolute()
    if target.is_dir():
        raise DataError.from_parts(
            f"output {path}", "a folder", "the name of a file", "add a file name"
        )
    _check_writable(target.parent)
    return target


def output_folder(path: Path | None) -> Path | None:
    """Return the absolute path of a folder that can be written to or made; nothing is made.

    Raises:
        DataError: it cannot be.
    """
    if path is None:
        return None
    target = path.expanduser().absolute()
    _check_writable(target)
    return target


def _check_writable(folder: Path) -> None:
    there = folder
    try:
        while not there.exists():
            there = there.parent
        # Permissions do not tell: file systems can be read-only, and root may do anything.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as problem:
        raise DataError.from_parts(
            f"output folder {folder}",
            problem.strerror or problem,
            "a folder that can be written to",
            "choose another folder",
        ) from problem
