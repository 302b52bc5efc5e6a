"""Trajectories in the TUM text format: ``stamp tx ty tz qx qy qz qw``, one pose a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_text_atomic
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_columns import PoseColumns
from e2e_slam_ros.data.pose_track import PoseTrack, pose_matrix
from e2e_slam_ros.data.stamp import format_stamp
from e2e_slam_ros.data.text_list import read_list, read_text


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Stamped poses.

    Attributes:
        stamps_ns: (N,) int64, strictly increasing, nanoseconds.
        poses: (N, 4, 4) float64, camera to map.

    >>> trajectory = Trajectory(np.array([0]), np.eye(4)[None])
    >>> trajectory.track().at(0, tolerance_ns=0).shape
    (4, 4)
    """

    stamps_ns: npt.NDArray[np.int64]
    poses: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def track(self) -> PoseTrack:
        """Return the poses as a `PoseTrack`, which interpolates between them."""
        return PoseTrack(self.stamps_ns, self.poses)


def read_tum_trajectory(path: Path | str, report: ReaderReport | None = None) -> Trajectory:
    """Read a trajectory file. Left-out lines are counted in ``report``.

    Other columns than the format's are recognised or refused (`pose_columns`). The reader leaves
    out lines that are not such numbers ("malformed line in ..."), poses with a NaN or infinite
    value, and zero quaternions. Quaternions are normalised. An empty file gives an empty
    trajectory.

    Raises:
        DataError: the file cannot be read, or its columns are of no known layout.
    """
    path = Path(path)
    report = report if report is not None else ReaderReport()
    entries = read_list(path, 1, report)
    columns = PoseColumns(path, _first_comment(path), entries, report)
    stamps: list[int] = []
    poses: list[npt.NDArray[np.float64]] = []
    for entry in entries:
        pose = columns.pose(entry.words)
        if pose is None:
            continue
        poses.append(pose)
        stamps.append(entry.stamp_ns)
    stacked = np.stack(poses) if poses else np.zeros((0, 4, 4))
    return Trajectory(np.array(stamps, dtype=np.int64), stacked)


def _first_comment(path: Path) -> str:
    """Return the comment that names the columns, or ""."""
    lines = (line for line in read_text(path).splitlines() if line.strip())
    comments = [line for line in islice(lines, 10) if line.lstrip().startswith("#")]
    return " ".join(comments)


def pose_of_words(
    words: Sequence[str], name: str, report: ReaderReport
) -> npt.NDArray[np.float64] | None:
    """Return ``tx ty tz qx qy qz qw`` as (4, 4); None, counted for the file, if it is none."""
    try:
        values = [float(word) for word in words[:7]]
        if len(values) != 7:
            raise ValueError(words)
    except ValueError:
        report.skip(f"malformed line in {name}")
        return None
    try:
        return pose_matrix(values[:3], values[3:])
    except ValueError:
        report.skip(f"pose not finite or zero quaternion in {name}")
        return None


def format_pose(stamp_ns: int, pose: npt.NDArray[np.float64]) -> str:
    """Return one line of the format, without newline. Positions have nanometre digits."""
    quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
    numbers = [*pose[:3, 3], *quaternion]
    return " ".join([format_stamp(stamp_ns), *(f"{value:.9f}" for value in numbers)])


def write_tum_trajectory(
    path: Path | str,
    stamps_ns: Sequence[int] | npt.NDArray[np.int64],
    poses: Sequence[npt.NDArray[np.float64]] | npt.NDArray[np.float64],
) -> None:
    """Write a trajectory file. It appears completely or not at all.

    Args:
        path: the file; its folder is created if missing.
        stamps_ns: (N,) nanoseconds.
        poses: (N, 4, 4) rigid transforms, camera to map.

    Raises:
        DataError: the numbers of stamps and poses differ, a pose is not finite, or the file cannot
            be written.
    """
    array = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)
    if len(array) != len(stamps_ns):
        raise DataError.from_parts(
            "trajectory", f"{len(array)} poses", f"{len(stamps_ns)}, one a stamp", "pass both"
        )
    if not np.isfinite(array).all():
        raise DataError.from_parts(
            "trajectory", "a pose that is not finite", "finite poses", "leave it out"
        )
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    lines += [format_pose(int(s), pose) for s, pose in zip(stamps_ns, array, strict=True)]
    write_text_atomic(Path(path), "\n".join(lines) + "\n")
