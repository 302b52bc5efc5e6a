"""A folder of images with a calibration: no list, no data set's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.calibration import (
    CALIBRATION_FILES,
    Calibration,
    calibration_of,
    lens_of_text,
)
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import note_unsynchronised
from e2e_slam_ros.data.images import image_size
from e2e_slam_ros.data.input_policy import Selection, select
from e2e_slam_ros.data.layout import (
    Wanted,
    image_files,
    missing_part,
    note_no_times,
    stamp_of_number,
)
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import Matrix, camera_pose, matrix_rows
from e2e_slam_ros.data.stream import Stream, stream_of_file
from e2e_slam_ros.data.text_list import stamp_of_word
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.geometry.lens_model import LensModel

_STAMPED, _ROWS = ("groundtruth.txt", "trajectory.txt"), ("poses.txt", "traj.txt")
_MILLIMETRES = 1000.0
# A name with so many digits is a time in a smaller unit than seconds.
_TIME_DIGITS = 10


class ImageFolderReader(LayoutSequence):
    """Images in a folder, or in folders beside each other such as ``rgb/`` and ``depth/``.

    The input policy (`input_policy`) decides by encoding and name which folder holds colour and
    which depth. Names of files are times (nanoseconds, or seconds with a point) or numbers. Depth
    belongs to the image of the same name, or of the nearest time. Poses come from
    ``groundtruth.txt`` (with times) or from ``poses.txt`` (a matrix a line, one an image).

    Args:
        folder: the images, or the folder that holds their folders.
        wanted: options; ``image_topic`` and ``depth_topic`` name the folders.

    Raises:
        DataError: no image, or no calibration.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (640, 480)).save(Path(folder) / "0.png")
    ...     try:
    ...         ImageFolderReader(Path(folder))
    ...     except DataError as refusal:
    ...         print("calibration" in str(refusal))
    True
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        found = _streams(folder)
        selection = _selection(found, wanted)
        for sentence in selection.sentences():
            report.note(sentence)
        colour = selection.colour.stream.name
        images = found[colour]
        report.listed = len(images)
        stamps = _stamps(images, report)
        calibration = _calibration(folder, images, selection.depth is not None, wanted, report)
        depths: Sequence[Path | None] = [None] * len(images)
        if selection.depth is not None:
            depths = _partners(images, stamps, found[selection.depth.stream.name], wanted, report)
        else:
            report.note("no depth folder: the frames have no depth")
        poses = _poses(folder, stamps or [], len(images), wanted, report)
        times = stamps or [stamp_of_number(n) for n in range(len(images))]
        files = [
            FrameFiles(stamp, image, depth, pose)
            for stamp, image, depth, pose in zip(times, images, depths, poses, strict=True)
        ]
        super().__init__(folder.resolve().name, files, calibration, report, wanted)


def is_image_folder(path: Path) -> bool:
    """Return whether a folder, or a folder in it, holds images."""
    if not path.is_dir():
        return False
    return bool(image_files(path)) or any(image_files(p) for p in path.iterdir() if p.is_dir())


def _streams(folder: Path) -> dict[str, list[Path]]:
    """Return the images of the folder and of the folders in it, by name."""
    inner = {f"/{p.name}": image_files(p) for p in sorted(folder.iterdir()) if p.is_dir()}
    own = {f"/{folder.resolve().name}": image_files(folder)}
    found = {name: files for name, files in (own | inner).items() if files}
    if not found:
        raise missing_part(folder, "no image", "image files, or folders of them")
    return found


def _selection(found: dict[str, list[Path]], wanted: Wanted) -> Selection:
    streams: dict[str, Stream] = {}
    for name, files in found.items():
        # A damaged first image says nothing of the others.
        stream = next(filter(None, (stream_of_file(name, path) for path in files[:3])), None)
        if stream is not None:
            streams[name] = stream
    options = wanted.options
    image, depth = (
        _named(streams, name, which)
        for name, which in (
            (options.image_topic, "image_topic"),
            (options.depth_topic, "depth_topic"),
        )
    )
    return select(list(streams.values()), image, depth)


def _named(streams: dict[str, Stream], name: str, which: str) -> Stream | None:
    if not name:
        return None
    found = streams.get(f"/{name.strip('/')}")
    if found is None:
        there = ", ".join(stream.strip("/") for stream in streams)
        raise DataError.from_parts(
            which.replace("_", " "), repr(name), f"one of {there}", f"give {option(which)}"
        )
    return found


def _stamps(images: Sequence[Path], report: ReaderReport) -> list[int] | None:
    """Return the times in the files' names; None, with a note, where they are numbers."""
    names = [path.stem for path in images]
    times = []
    for name in names:
        try:
            if "." not in name and len(name) <= _TIME_DIGITS:
                break
            times.append(stamp_of_word(name, report, "image files"))
        except ValueError:
            break
    rising = all(a < b for a, b in zip(times, times[1:], strict=False))
    if len(times) == len(names) and rising and times[0] > 0:
        return times
    note_no_times(report)
    return None


def _calibration(
    folder: Path, images: Sequence[Path], has_depth: bool, wanted: Wanted, report: ReaderReport
) -> Calibration:
    options, given = wanted.options, wanted.pinhole
    size = image_size(images[0])
    lens = None
    if given is not None:
        lens = LensModel.of_pinhole(given)
    elif options.intrinsics:
        lens = lens_of_text(options.intrinsics, size)
    beside = images[0].parent if calibration_file(folder) is None else folder
    own = calibration_of(beside)
    factor = options.depth_factor or (own.depth_factor if own is not None else _MILLIMETRES)
    # Cameras of other programs do not say what a count of depth is. Most are millimetres.
    assumed = not options.depth_factor and (own is None or own.assumed_factor)
    if assumed:
        factor = _MILLIMETRES
    found = calibration_of(beside, lens, factor)
    if found is None:
        raise missing_part(
            folder,
            "images without a calibration",
            f"one of {', '.join(CALIBRATION_FILES)} beside them",
            f"copy it there, or give {option('intrinsics', 'fx,fy,cx,cy')}",
        )
    if assumed and has_depth:
        report.note(
            f"{found.source} does not say how many counts of depth are a metre; millimetres "
            f"assumed; {option('depth_factor', '5000')} for TUM's"
        )
    if found.lens is not None:
        report.note(f"{found.source}: {found.lens.words}")
    return found


def calibration_file(folder: Path) -> Path | None:
    """Return the calibration file of a folder, or None.

    >>> calibration_file(Path("/nowhere")) is None
    True
    """
    return next((folder / n for n in CALIBRATION_FILES if (folder / n).is_file()), None)


def _partners(
    images: Sequence[Path],
    stamps: list[int] | None,
    depths: Sequence[Path],
    wanted: Wanted,
    report: ReaderReport,
) -> list[Path | None]:
    """Return the depth of each image: of the same name, else of the nearest time."""
    by_name = {path.stem: path for path in depths}
    same = [by_name.get(image.stem) for image in images]
    if any(same):
        return same
    silent = ReaderReport()
    others = _stamps(depths, silent) if stamps else None
    if stamps and others:
        tolerance_ns = round(wanted.options.tolerance_s * 1e9)
        pairs = associate(np.array(stamps), np.array(others), tolerance_ns)
        found = [depths[j] if j >= 0 else None for j in pairs]
        note_unsynchronised(depths[0].parent.name, len(depths), found, report)
        return found
    if len(depths) == len(images):
        report.note("depth and images have other names, and are as many: paired in order")
        return list(depths)
    report.note(
        f"not taken: {depths[0].parent.name}: {len(depths)} files beside {len(images)} images, "
        "and no name fits; give both the same names"
    )
    return [None] * len(images)


def _poses(
    folder: Path, stamps: list[int], count: int, wanted: Wanted, report: ReaderReport
) -> list[Matrix | None]:
    none: list[Matrix | None] = [None] * count
    rows = next((folder / name for name in _ROWS if (folder / name).is_file()), None)
    stamped = next((folder / name for name in _STAMPED if (folder / name).is_file()), None)
    poses = none
    if stamped is not None and stamps:
        track = read_tum_trajectory(stamped, report).track()
        tolerance_ns = round(wanted.options.tolerance_s * 1e9)
        poses = [track.between_neighbours(stamp, tolerance_ns, 500_000_000) for stamp in stamps]
        note_unsynchronised(stamped.name, len(track), poses, report)
    elif rows is not None:
        found = matrix_rows(rows, report)
        if len(found) != count:
            report.note(f"not taken: {rows.name}: {len(found)} poses of {count} images")
            return none
        poses = found
    else:
        report.note(f"no {_STAMPED[0]} with times and no {_ROWS[0]}: the frames have no pose")
    return [camera_pose(pose, _EYE, wanted.options) for pose in poses]


_EYE: npt.NDArray[np.float64] = np.eye(4)
