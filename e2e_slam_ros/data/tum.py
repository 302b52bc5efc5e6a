"""Folders in the layout of the TUM RGB-D benchmark."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.calibration import (
    CALIBRATION_FILE,
    TUM_DEPTH_FACTOR,
    Calibration,
    calibration_of,
    tum_camera,
)
from e2e_slam_ros.data.folder_sequence import FolderSequence, FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import keep_complete, note_unsynchronised
from e2e_slam_ros.data.pose_track import PoseTrack
from e2e_slam_ros.data.sequence import check_tolerance
from e2e_slam_ros.data.text_list import ListEntry, read_list
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.geometry.camera import PinholeCamera


class TumReader(FolderSequence):
    """A TUM RGB-D folder: ``rgb.txt``, and if present ``depth.txt`` and ``groundtruth.txt``.

    Listed files that do not exist are left out and counted in ``report``. Each colour image gets
    the closest depth image within the tolerance, and the ground-truth pose interpolated at its
    stamp (`PoseTrack.at`). A frame without a pose has None. The map frame is that of the ground
    truth. The constructor reads only the lists and three image headers.

    Args:
        camera: intrinsics, or the name of a built-in camera ("fr1", "fr2", "fr3", "ros"). Given
            intrinsics come first, then ``calibration.yaml`` in the folder, then the given name,
            then the folder's name, then "ros" with a note.
        tolerance_s: largest time difference between an image and its depth or pose, seconds.

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
        tolerance_s: float = 0.02,
        require_depth: bool = False,
        require_pose: bool = False,
    ) -> None:
        folder = Path(folder)
        check_tolerance("tolerance_s", tolerance_s)
        tolerance_ns = round(tolerance_s * 1e9)
        report = ReaderReport()
        images = _existing_images(folder, report)
        depths = _partners(folder, images, tolerance_ns, report)
        poses = _poses(folder, images, tolerance_ns, report)
        files = [
            FrameFiles(entry.stamp_ns, folder / entry.words[0], depth, pose)
            for entry, depth, pose in zip(images, depths, poses, strict=True)
        ]
        files = keep_complete(folder.name, files, require_depth, require_pose, report)
        calibration = folder_calibration(folder, camera, report)
        super().__init__(folder.resolve().name, files, calibration, report, require_depth)


def folder_calibration(
    folder: Path, camera: PinholeCamera | str | None, report: ReaderReport
) -> Calibration:
    """Return the calibration of a TUM folder, by the order in `TumReader`."""
    named, given = (camera, None) if isinstance(camera, str) else (None, camera)
    found = calibration_of(folder, given)
    if found is not None:
        return found
    # The resolved folder has the name, also if the path is "." or a link.
    built_in = tum_camera(folder.resolve().name if named is None else named)
    if named is not None:
        if built_in is None:
            raise DataError.from_parts(
                "camera", repr(named), "fr1, fr2, fr3 or ros", "or pass a PinholeCamera"
            )
        return Calibration(built_in, TUM_DEPTH_FACTOR, f"the built-in camera {named}")
    if built_in is not None:
        return Calibration(built_in, TUM_DEPTH_FACTOR, "the TUM camera of the folder's name")
    report.note(
        f"no {CALIBRATION_FILE} and no fr1/fr2/fr3 in the folder's name: "
        "525, 525, 319.5, 239.5 assumed, without distortion"
    )
    fallback = tum_camera("ros")
    assert fallback is not None
    return Calibration(fallback, TUM_DEPTH_FACTOR, "the camera assumed")


def _existing_images(folder: Path, report: ReaderReport) -> list[ListEntry]:
    path = folder / "rgb.txt"
    if not path.is_file():
        raise DataError.from_parts(
            f"folder {folder}",
            "no rgb.txt",
            "a TUM RGB-D folder (rgb.txt, depth.txt, groundtruth.txt)",
            "give the folder that holds the lists",
        )
    entries = read_list(path, 1, report)
    report.listed = len(entries)
    if not entries:
        raise DataError.from_parts(
            f"list {path}", "no entry", "lines of 'stamp filename'", "export the sequence again"
        )
    existing = _existing(folder, entries, "colour", report)
    if not existing:
        raise DataError.from_parts(
            f"list {path}",
            f"{len(entries)} names of files that do not exist",
            "image files beside the list",
            "copy the images or extract the archive again",
        )
    return existing


def _existing(
    folder: Path, entries: list[ListEntry], kind: str, report: ReaderReport
) -> list[ListEntry]:
    # Path.is_file raises for a name that no file can have, such as one that is too long.
    existing = [entry for entry in entries if os.path.isfile(folder / entry.words[0])]
    if len(existing) < len(entries):
        report.skip(f"missing {kind} image", len(entries) - len(existing))
    return existing


def _partners(
    folder: Path, images: list[ListEntry], tolerance_ns: int, report: ReaderReport
) -> list[Path | None]:
    """Return the depth file of each image, or None."""
    path = folder / "depth.txt"
    if not path.is_file():
        report.note("no depth.txt: the frames have no depth")
        return [None] * len(images)
    depths = _existing(folder, read_list(path, 1, report), "depth", report)
    pairs = associate(_stamps(images), _stamps(depths), tolerance_ns)
    found = [folder / depths[j].words[0] if j >= 0 else None for j in pairs]
    note_unsynchronised("depth.txt", len(depths), found, report)
    return found


def _poses(
    folder: Path, images: list[ListEntry], tolerance_ns: int, report: ReaderReport
) -> list[npt.NDArray[np.float64] | None]:
    path = folder / "groundtruth.txt"
    if not path.is_file():
        report.note("no groundtruth.txt: the frames have no pose")
        return [None] * len(images)
    track: PoseTrack = read_tum_trajectory(path, report).track()
    found = [track.at(entry.stamp_ns, tolerance_ns) for entry in images]
    note_unsynchronised("groundtruth.txt", len(track), found, report)
    return found


def _stamps(entries: list[ListEntry]) -> npt.NDArray[np.int64]:
    return np.array([entry.stamp_ns for entry in entries], dtype=np.int64)
