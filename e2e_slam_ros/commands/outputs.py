"""Checks of output paths, before the work starts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_bytes_atomic

# The page of an evaluation, in the folder of its pictures.
PAGE_FILE = "report.html"


def output_file(path: Path | None) -> Path | None:
    """Return the absolute path of a writable file. Nothing is created.

    Raises:
        DataError: the path is a folder, or its folder is not writable.
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
    """Return the absolute path of a folder that is writable or can be created. Nothing is created.

    Raises:
        DataError: the folder is not writable and cannot be created.
    """
    if path is None:
        return None
    target = path.expanduser().absolute()
    _check_writable(target)
    return target


@contextmanager
def run_folder(given: Path | None, max_surfels: int) -> Iterator[Path]:
    """Create the folder of a run. If the block fails and the folder is empty, remove it again.

    Args:
        given: the folder; None: one named by the time, under ``out``.
        max_surfels: largest number of surfels that there must be room for.

    Raises:
        DataError: it has an earlier run, cannot be written, or has too little room.
    """
    from e2e_slam_ros.data.atomic import made_folder
    from e2e_slam_ros.evaluation.run.artifacts import prepare_folder, refuse_earlier_run

    folder = given or Path("out") / f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = folder.expanduser().absolute()
    refuse_earlier_run(folder)
    with made_folder(folder):
        yield prepare_folder(folder, max_surfels)


def _check_writable(folder: Path) -> None:
    there = folder
    try:
        while not there.exists():
            there = there.parent
        # Permissions are not enough: a file system can be read-only, and root may do anything.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as problem:
        raise DataError.from_parts(
            f"output folder {folder}",
            problem.strerror or problem,
            "a folder that can be written to",
            "choose another folder",
        ) from problem


class EvaluationReport(Protocol):
    """The report of a protocol of `e2e-slam evaluate`."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""

    def html(self, pictures: Mapping[str, bytes]) -> str:
        """Return a page of the tables and the pictures, heading -> PNG file."""


def write_report(
    report: EvaluationReport,
    figures: Path | None,
    folder: Path | None,
    pictures: Mapping[str, tuple[str, bytes]],
) -> None:
    """Write figures as JSON, and pictures with their page, where they were asked for.

    ``pictures`` is heading -> name and content of a PNG file.
    """
    if figures is not None:
        write_files({figures: json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"})
    if folder is not None:
        files: dict[Path, str | bytes] = {folder / name: png for name, png in pictures.values()}
        page = report.html({heading: png for heading, (_, png) in pictures.items()})
        write_files({**files, folder / PAGE_FILE: page})


def write_files(files: Mapping[Path, str | bytes]) -> None:
    """Write files, each whole or not at all, and print their paths at the end."""
    for path, content in files.items():
        write_bytes_atomic(path, content.encode() if isinstance(content, str) else content)
    for path in files:
        print(path)
