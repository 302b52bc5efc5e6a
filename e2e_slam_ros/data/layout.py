"""A layout of recordings: what its files are, and the parts that all folder readers share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from e2e_slam_ros.config.errors import CameraError, DataError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.data.calibration import Calibration, calibration_of_lens, lens_of_text
from e2e_slam_ros.data.frame import FrameReader, ReaderReport
from e2e_slam_ros.data.images import image_size
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.lens_model import LensModel

# Frame 0 of a layout without times. Time 0 means "no time" in ROS.
_FIRST_NS = 10**9
_RATE_HZ = 30.0
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


@dataclass(frozen=True)
class Wanted:
    """What a caller asks of a reader.

    Attributes:
        options: parts of the input that the user names.
        camera: intrinsics instead of those of the recording, or the name of a built-in camera.
        require_depth, require_pose: leave out frames without depth or pose.

    >>> Wanted().options.depth_topic
    ''
    """

    options: InputOptions = field(default_factory=InputOptions)
    camera: PinholeCamera | str | None = None
    require_depth: bool = False
    require_pose: bool = False

    @property
    def pinhole(self) -> PinholeCamera | None:
        """The intrinsics given.

        Raises:
            DataError: a name was given. Names are for TUM folders.
        """
        if isinstance(self.camera, str):
            raise DataError.from_parts(
                "camera",
                repr(self.camera),
                "intrinsics: built-in names are for TUM folders",
                "leave it out",
            )
        return self.camera


@dataclass(frozen=True)
class Layout:
    """A kind of recording.

    Attributes:
        name: word of ``--dataset``.
        what: its files, in words, for messages and the documentation.
        fits: tells whether a path is of this layout, from names alone.
        opened: makes the reader.

    >>> Layout("none", "nothing", lambda path: False, lambda path, wanted: None).name
    'none'
    """

    name: str
    what: str
    fits: Callable[[Path], bool]
    opened: Callable[[Path, Wanted], FrameReader]


def stamp_of_number(number: int, rate_hz: float = _RATE_HZ) -> int:
    """Return the time of a frame whose layout has no times, nanoseconds.

    >>> stamp_of_number(30)
    2000000000
    """
    return _FIRST_NS + round(number * 1e9 / rate_hz)


def note_no_times(report: ReaderReport) -> None:
    """Say that times are made up."""
    report.note(f"this layout has no times: {_RATE_HZ:.0f} images a second assumed")


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder. Numbers in their names are sorted as numbers."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts numbers in names as numbers.

    >>> sorted(["10.png", "9.png"], key=natural)
    ['9.png', '10.png']
    """
    parts = re.split(r"(\d+)", name)
    # Words after numbers; a number of any length is compared as one.
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def number_of(path: Path) -> int | None:
    """Return the last number in a file's name without its suffixes, or None.

    >>> number_of(Path("frame-000012.color.png"))
    12
    """
    found = re.findall(r"\d+", path.name.partition(".")[0])
    return int(found[-1]) if found else None


def layout_calibration(
    wanted: Wanted,
    own: Callable[[], LensModel],
    factor: float,
    source: str,
    image: Path | tuple[int, int] | None,
    report: ReaderReport,
) -> Calibration:
    """Return the calibration of a layout: what the user gives, else the layout's own.

    Args:
        own: reads the layout's own calibration. It is called only if the user gives none.
        factor: depth counts per metre of the layout.
        source: origin of the layout's calibration, in words.
        image: a file or a size, for intrinsics that are numbers alone.

    Raises:
        DataError: what is given or read is no camera.
    """
    options, given = wanted.options, wanted.pinhole
    per_metre = options.depth_factor or factor
    if given is not None:
        lens, source = LensModel.of_pinhole(given), "the camera given"
    elif options.intrinsics:
        size = image_size(image) if isinstance(image, Path) else image
        lens, source = lens_of_text(options.intrinsics, size), "the intrinsics given"
    else:
        try:
            lens = own()
        except CameraError as problem:
            raise DataError(f"{source}: {problem}") from problem
    found = calibration_of_lens(lens, per_metre, source)
    if found.lens is not None:
        report.note(f"{source}: {lens.words}")
    return found


def missing_part(folder: Path, got: str, expected: str, do: str = "") -> DataError:
    """Return the refusal of a folder that lacks a part of its layout."""
    return DataError.from_parts(
        f"folder {folder}", got, expected, do or "give the folder that holds these files"
    )
