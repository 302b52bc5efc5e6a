"""A recording written in another layout: completely, or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.data.atomic import write_error
from e2e_slam_ros.data.bag_writer import BagWriter
from e2e_slam_ros.data.calibration import TUM_DEPTH_FACTOR
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.prefetch import prepared_ahead
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.geometry.camera import PinholeCamera

FORMATS = ("tum", "mcap", "sqlite3")
_AHEAD = 4
# What 16 bits hold at TUM's 5000 counts a metre.
_FARTHEST_M = 65535 / TUM_DEPTH_FACTOR


class FrameWriter(Protocol):
    """Writes frames in time order."""

    def write(self, frame: Frame) -> None:
        """Write one frame."""


@dataclass
class ConversionReport:
    """Counts of a conversion.

    Attributes:
        frames, with_depth, with_pose: written.
        unreadable: frames that could not be read, with the first reason.
        far: frames with depth beyond what the TUM layout holds (13.1 m), which became invalid.

    >>> ConversionReport(frames=3).unreadable
    0
    """

    frames: int = 0
    with_depth: int = 0
    with_pose: int = 0
    unreadable: int = 0
    far: int = 0
    reason: str = ""


def format_of(target: Path, wanted: str = "auto") -> str:
    """Return the format of a target: the wanted one, or by its name.

    Raises:
        DataError: the name and the wanted format do not fit.

    >>> format_of(Path("run.mcap")), format_of(Path("run")), format_of(Path("run"), "sqlite3")
    ('mcap', 'tum', 'sqlite3')
    """
    suffix = target.suffix.lower()
    if suffix in (".db3", ".bag") or (suffix == ".mcap" and wanted not in ("auto", "mcap")):
        raise DataError.from_parts(
            f"output {target}",
            f"the suffix {suffix} for {wanted}",
            "a name that ends with .mcap, or the name of a folder",
            "rosbag2 with sqlite3 is a folder: leave the suffix out",
        )
    if wanted != "auto":
        return wanted
    return "mcap" if suffix == ".mcap" else "tum"


def convert(
    reader: FrameReader,
    target: Path,
    form: str,
    watch: Callable[[int], None] = lambda done: None,
) -> ConversionReport:
    """Write the readable frames of a reader to ``target``.

    The recording grows in a hidden folder beside ``target`` and is renamed at the end. An error
    or Ctrl-C leaves nothing.

    Args:
        form: one of `FORMATS`. "mcap" writes a file if ``target`` ends with ``.mcap``.
        watch: called with the number of frames that are done.

    Raises:
        DataError: ``target`` exists, cannot be written, or no frame can be read.
    """
    report = ConversionReport()
    with closing(prepared_ahead(_reading(reader), 0, len(reader), _AHEAD)) as frames:
        with _fresh(target) as folder:
            inner = folder / (target.stem if target.suffix == ".mcap" else target.name)
            writer: AbstractContextManager[FrameWriter] | None = None
            camera: PinholeCamera | None = None
            try:
                for done, frame in frames:
                    if isinstance(frame, E2ESlamError):
                        report.unreadable += 1
                        report.reason = report.reason or str(frame)
                    else:
                        if writer is None or camera is None:
                            camera = frame.camera
                            writer = _writer(inner, camera, form)
                        _check_camera(frame, camera)
                        writer.write(frame)  # type: ignore[attr-defined]
                        _count(report, frame, form)
                    watch(done + 1)
            finally:
                if writer is not None:
                    writer.__exit__(None, None, None)
            if not report.frames:
                raise DataError.from_parts(
                    f"sequence {reader.name}",
                    f"no readable frame ({report.reason})",
                    "at least one",
                    "check the files",
                )
            _move(_result(inner, target), target)
    return report


def _reading(reader: FrameReader) -> Callable[[int], Frame | E2ESlamError]:
    def read(index: int) -> Frame | E2ESlamError:
        try:
            return reader[index]
        except E2ESlamError as error:
            return error

    return read


def _writer(folder: Path, camera: PinholeCamera, form: str) -> AbstractContextManager[FrameWriter]:
    return TumWriter(folder, camera) if form == "tum" else BagWriter(folder, camera, form)


def _check_camera(frame: Frame, camera: PinholeCamera) -> None:
    if frame.camera != camera:
        raise DataError.from_parts(
            f"frame {frame.index}",
            "another camera than the first",
            "one camera",
            "convert the parts one by one: --frames A:B",
        )


def _count(report: ConversionReport, frame: Frame, form: str) -> None:
    report.frames += 1
    report.with_depth += frame.depth is not None
    report.with_pose += frame.T_map_camera is not None
    if form == "tum" and frame.depth is not None:
        report.far += bool((frame.depth > _FARTHEST_M).any())


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """Make a hidden folder beside the target; take it away at the end, whatever happens."""
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise DataError.from_parts(
            f"output {target}",
            "something there",
            "a new path",
            "choose another, or move it away: nothing is overwritten",
        )
    folder = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        folder.mkdir(parents=True)
    except OSError as problem:
        raise write_error(target, problem) from problem
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _result(inner: Path, target: Path) -> Path:
    """Return the path that becomes the target: the folder, or the one storage file in it."""
    if target.suffix != ".mcap":
        return inner
    return next(inner.glob("*.mcap"))


def _move(source: Path, target: Path) -> None:
    try:
        with suppress(FileNotFoundError):
            if target.is_dir():
                target.rmdir()  # empty, as `_fresh` has seen
        os.replace(source, target)
    except OSError as problem:
        raise write_error(target, problem) from problem
