"""Folders in the layout of the TUM RGB-D benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.clock_check import clocks_sentence, implausible
from e2e_slam_ros.data.folder_sequence import FolderSequence, FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import keep_complete, note_unsynchronised
from e2e_slam_ros.data.pose_files import poses_at
from e2e_slam_ros.data.text_list import ListEntry, listed_file, read_list, read_text, words_of
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.data.tum_calibration import folder_calibration
from e2e_slam_ros.geometry.camera import PinholeCamera

_LIST, _PAIRS = "rgb.txt", ("associations.txt", "associate.txt", "association.txt")


class TumReader(FolderSequence):
    """A TUM RGB-D folder: ``rgb.txt``, and if present ``depth.txt`` and ``groundtruth.txt``.

    In place of ``rgb.txt`` and ``depth.txt`` the pairs of ``associations.txt`` may be there.

    Listed files that do not exist are left out and counted in ``report``. Each colour image gets
    the closest depth image within the tolerance, and the ground-truth pose interpolated at its
    stamp. A frame without a pose has None. The map frame is that of the ground truth. The
    constructor reads only the lists and a few images.

    Args:
        options: what the user names: intrinsics, depth factor, tolerance, frame of the poses.
        camera: intrinsics, or the name of a built-in camera ("fr1", "fr2", "fr3", "ros"). Given
            intrinsics come first, then ``calibration.yaml`` or the like in the folder, then the
            given name, then the folder's name, then "ros" with a note.
        more: fields of `InputOptions`, instead of ``options``.

    Raises:
        DataError: not such a folder, an empty list, no image left, or a calibration that does not
            fit.

    >>> import tempfile
    >>> from e2e_slam_ros.data.frame import Frame
    >>> import numpy as np
    >>> from e2e_slam_ros.data.tum_writer import TumWriter
    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TumWriter(folder, camera) as writer:
    ...         writer.write(Frame(0, 10**9, np.zeros((3, 4, 3), np.uint8), camera))
    ...     frame = TumReader(folder)[0]
    >>> frame.image.shape, frame.depth is None
    ((3, 4, 3), True)
    """

    def __init__(
        self,
        folder: Path | str,
        camera: PinholeCamera | str | None = None,
        options: InputOptions | None = None,
        require_depth: bool = False,
        require_pose: bool = False,
        **more: Any,
    ) -> None:
        folder = Path(folder)
        options = options or InputOptions(**more)
        tolerance_ns = round(options.tolerance_s * 1e9)
        report = ReaderReport()
        images, depths = _listed(folder, tolerance_ns, report)
        poses = _poses(folder, images, options, report)
        files = [
            FrameFiles(entry.stamp_ns, path, depth, pose)
            for (entry, path), depth, pose in zip(images, depths, poses, strict=True)
        ]
        files = keep_complete(folder.name, files, require_depth, require_pose, report)
        calibration = folder_calibration(folder, camera, report, options, files[0].image)
        super().__init__(folder.resolve().name, files, calibration, report, require_depth)


def is_tum_folder(folder: Path) -> bool:
    """Return whether a folder is in TUM's layout: ``rgb.txt``, or pairs with times."""
    if (folder / _LIST).is_file():
        return True
    path = _pairs_file(folder)
    return path is not None and _has_times(path)


def _pairs_file(folder: Path) -> Path | None:
    return next((folder / name for name in _PAIRS if (folder / name).is_file()), None)


def _has_times(path: Path) -> bool:
    """Return whether lines begin with times, and not with frame numbers as in ICL-NUIM."""
    for line in read_text(path).splitlines():
        words = words_of(line)
        if words:
            return "." in words[0] or len(words[0]) > 9
    return False


Named = tuple[ListEntry, Path]


def _listed(
    folder: Path, tolerance_ns: int, report: ReaderReport
) -> tuple[list[Named], list[Path | None]]:
    """Return the colour images that exist, and the depth file of each, or None."""
    if (folder / _LIST).is_file():
        images = _existing_images(folder, folder / _LIST, report)
        return images, _partners(folder, images, tolerance_ns, report)
    path = _pairs_file(folder)
    if path is None:
        raise DataError.from_parts(
            f"folder {folder}",
            f"no {_LIST}",
            "a TUM RGB-D folder (rgb.txt, depth.txt, groundtruth.txt)",
            "give the folder that holds the lists",
        )
    report.note(f"no {_LIST}: images and depth are the pairs of {path.name}")
    images = _existing_images(folder, path, report)
    depths = [_second(folder, entry) for entry, _ in images]
    missing = sum(depth is None for depth in depths)
    if missing:
        report.skip("missing depth image", missing)
    return images, depths


def _second(folder: Path, entry: ListEntry) -> Path | None:
    """Return the second file of a line ``stamp file stamp file``."""
    return listed_file(folder, entry.words[2]) if len(entry.words) > 2 else None


def _existing_images(folder: Path, path: Path, report: ReaderReport) -> list[Named]:
    entries = read_list(path, 1, report)
    report.listed = len(entries)
    if not entries:
        raise DataError.from_parts(
            f"list {path}", "no entry", "lines of 'stamp filename'", "export the sequence again"
        )
    if any("depth" in entry.words[0] for entry in entries[:1]) and len(entries[0].words) > 2:
        # Of a pair in either order the colour image comes first here.
        entries = [ListEntry(e.stamp_ns, (e.words[2], *e.words[1:2], e.words[0])) for e in entries]
    existing = _existing(folder, entries, "colour", report)
    if not existing:
        raise DataError.from_parts(
            f"list {path}",
            f"{len(entries)} names of files that do not exist (the first: "
            f"{folder / entries[0].words[0]})",
            "image files beside the list",
            "copy the images or extract the archive again",
        )
    return existing


def _existing(
    folder: Path, entries: list[ListEntry], kind: str, report: ReaderReport
) -> list[Named]:
    found = [(entry, listed_file(folder, entry.words[0])) for entry in entries]
    existing = [(entry, path) for entry, path in found if path is not None]
    if len(existing) < len(entries):
        report.skip(f"missing {kind} image", len(entries) - len(existing))
    wrong = implausible([entry.stamp_ns for entry, _ in existing])
    if wrong.any():
        report.skip(f"negative stamp, or far from all others, of a {kind} image", int(wrong.sum()))
    return [named for named, is_wrong in zip(existing, wrong, strict=True) if not is_wrong]


def _partners(
    folder: Path, images: list[Named], tolerance_ns: int, report: ReaderReport
) -> list[Path | None]:
    """Return the depth file of each image, or None."""
    path = folder / "depth.txt"
    if not path.is_file():
        report.note("no depth.txt: the frames have no depth")
        return [None] * len(images)
    depths = _existing(folder, read_list(path, 1, report), "depth", report)
    pairs = associate(_stamps(images), _stamps(depths), tolerance_ns)
    found = [depths[j][1] if j >= 0 else None for j in pairs]
    note_unsynchronised("depth.txt", len(depths), found, report)
    _note_clocks("depth images", images, _stamps(depths).tolist(), found, report)
    return found


def _poses(
    folder: Path, images: list[Named], options: InputOptions, report: ReaderReport
) -> list[npt.NDArray[np.float64] | None]:
    path = folder / "groundtruth.txt"
    if not path.is_file():
        report.note("no groundtruth.txt: the frames have no pose")
        return [None] * len(images)
    trajectory = read_tum_trajectory(path, report)
    track = trajectory.track()
    found = poses_at(track, (entry.stamp_ns for entry, _ in images), np.eye(4), options)
    note_unsynchronised("groundtruth.txt", len(track), found, report)
    _note_clocks("poses", images, trajectory.stamps_ns.tolist(), found, report)
    return found


def _note_clocks(
    what: str,
    images: list[Named],
    stamps_ns: list[int],
    found: Sequence[object | None],
    report: ReaderReport,
) -> None:
    if found and all(item is None for item in found):
        said = clocks_sentence("images", _stamps(images).tolist(), what, stamps_ns)
        if said:
            report.note(said)


def _stamps(entries: list[Named]) -> npt.NDArray[np.int64]:
    return np.array([entry.stamp_ns for entry, _ in entries], dtype=np.int64)
