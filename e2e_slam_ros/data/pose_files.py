"""Poses as matrices in text files, and what they become for the camera."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions, option
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_policy import BODY, OPTICAL, T_BODY_OPTICAL
from e2e_slam_ros.data.pose_track import PoseTrack
from e2e_slam_ros.data.text_list import read_text

Matrix: TypeAlias = npt.NDArray[np.float64]

# Poses farther apart than this do not tell where the camera was between them.
LONGEST_GAP_NS = 500_000_000
# Rotations are written with four to nine digits.
_RIGID_TOLERANCE = 1e-2


def rigid(values: Sequence[float] | npt.ArrayLike) -> Matrix | None:
    """Return the (4, 4) transform of 12 or 16 numbers by rows; None if they are no rigid motion.

    >>> rigid([1, 0, 0, 4, 0, 1, 0, 5, 0, 0, 1, 6])[:3, 3].tolist()
    [4.0, 5.0, 6.0]
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.size not in (12, 16) or not np.isfinite(array).all():
        return None
    matrix = np.eye(4)
    matrix[:3] = array[:12].reshape(3, 4)
    rotation = matrix[:3, :3]
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > _RIGID_TOLERANCE:
        return None
    if np.linalg.det(rotation) < 0.0:
        return None
    u, _, vt = np.linalg.svd(rotation)
    matrix[:3, :3] = u @ vt
    return matrix


def numbers_of(path: Path, what: str) -> list[list[float]]:
    """Return the numbers of each line of a text file. Commas and spaces separate them.

    Raises:
        DataError: the file cannot be read, or holds other words.
    """
    rows: list[list[float]] = []
    for line in read_text(path).splitlines():
        words = line.partition("#")[0].replace(",", " ").split()
        try:
            if words:
                rows.append([float(word) for word in words])
        except ValueError as problem:
            raise DataError.from_parts(
                f"{what} {path}", problem, "numbers alone", "export it again"
            ) from problem
    return rows


def matrix_rows(path: Path, report: ReaderReport) -> list[Matrix | None]:
    """Return the poses of a file with the 12 or 16 numbers of a matrix on each line.

    Lines that are no rigid motion are None, and counted.

    Raises:
        DataError: the file cannot be read.
    """
    poses: list[Matrix | None] = []
    for line in read_text(path).splitlines():
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            pose = rigid([float(word) for word in words])
        except ValueError:
            pose = None
        if pose is None:
            report.skip(f"pose not finite or not rigid in {path.name}")
        poses.append(pose)
    return poses


def pose_of_file(path: Path, report: ReaderReport) -> Matrix | None:
    """Return the pose in a file of one 4x4 matrix; None, counted, if there is none."""
    if not path.is_file():
        report.skip("missing pose file")
        return None
    try:
        pose = rigid([float(word) for word in read_text(path).split()])
    except (DataError, ValueError):
        pose = None
    if pose is None:
        report.skip("pose file not finite or not rigid")
    return pose


def camera_pose(
    pose: Matrix | None, T_sensor_camera: Matrix, options: InputOptions
) -> Matrix | None:
    """Return the optical frame's pose from the pose that a layout gives.

    Args:
        pose: (4, 4) of the layout's own frame, or None.
        T_sensor_camera: (4, 4) from the optical frame to that frame. The user's
            ``--pose-frame`` comes before it.

    Raises:
        DataError: the user names a TF frame.
    """
    frame = options.pose_frame
    if frame not in ("", OPTICAL, BODY):
        raise DataError.from_parts(
            "frame of the poses",
            repr(frame),
            f"{OPTICAL} or {BODY}: a folder has no TF",
            f"give {option('pose_frame', f'{OPTICAL}|{BODY}')}",
        )
    if pose is None or frame == OPTICAL:
        return pose
    return pose @ (T_BODY_OPTICAL if frame == BODY else T_sensor_camera)


def poses_at(
    track: PoseTrack,
    stamps_ns: Iterable[int],
    T_sensor_camera: Matrix,
    options: InputOptions,
    longest_ns: int | None = LONGEST_GAP_NS,
) -> list[Matrix | None]:
    """Return the optical frame's pose at each stamp; None where the track has none.

    Args:
        track: (4, 4) poses of the layout's own frame.
        T_sensor_camera: (4, 4), as for `camera_pose`.
        options: tolerance, and frame of the poses.
        longest_ns: a longer gap between two poses is not bridged; None: any length.

    Raises:
        DataError: the user names a TF frame.
    """
    tolerance_ns = round(options.tolerance_s * 1e9)
    found = (track.between_neighbours(stamp, tolerance_ns, longest_ns) for stamp in stamps_ns)
    return [camera_pose(pose, T_sensor_camera, options) for pose in found]


def inverted(transform: Matrix) -> Matrix:
    """Return the inverse of a rigid (4, 4) transform.

    >>> inverted(np.eye(4))[0].tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    found: Matrix = np.linalg.inv(transform).astype(np.float64)
    return found
