"""The two pose formats of ICL-NUIM, converted to right-handed cameras.

ICL-NUIM was rendered with POV-Ray. Its axes are left-handed: x right, y *up*, z forward. The
published calibration therefore has fy = -480: with y up, v = -480 Y/Z + cy. Cameras in this
package have y down and fy > 0. Camera and world are both mirrored in y with F = diag(1, -1, 1, 1):
T_map_camera = F T F. The result is a rotation again (its determinant is 1). Distances and angles
do not change, and fy = +480 gives the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.text_list import read_text
from e2e_slam_ros.data.trajectory_file import pose_of_words

_FLIP_Y = np.diag([1.0, -1.0, 1.0, 1.0])
# Published matrices have six digits. A matrix farther from a rotation than this is damaged.
_RIGID_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class NumberedPoses:
    """Camera-to-map poses by number.

    Attributes:
        poses: (4, 4) float64 for each number. In a ``.freiburg`` file the number is written in the
            line. In a ``.sim`` file the matrices are counted from 0.
        numbered: true if the numbers come from the file.

    >>> NumberedPoses({0: np.eye(4)}, numbered=False).poses[0].shape
    (4, 4)
    """

    poses: dict[int, npt.NDArray[np.float64]]
    numbered: bool


def read_icl_poses(path: Path, report: ReaderReport) -> NumberedPoses:
    """Read ``*.gt.freiburg`` (number t q, eight words a line) or ``*.gt.sim`` (3x4 matrices).

    The number of words in the first line tells the format. Poses that are not finite, are not
    rigid or have a zero quaternion are left out and counted. Malformed lines are counted as well.

    Raises:
        DataError: the file cannot be read or has neither format.
    """
    lines = [line.partition("#")[0].split() for line in read_text(path).splitlines()]
    rows = [words for words in lines if words]
    if not rows:
        return NumberedPoses({}, True)
    if len(rows[0]) == 8:
        return NumberedPoses(_freiburg(rows, path.name, report), True)
    if len(rows[0]) == 4:
        return NumberedPoses(_matrices(rows, path, report), False)
    raise DataError.from_parts(
        f"poses {path}",
        f"{len(rows[0])} words in its first line",
        "8 (number tx ty tz qx qy qz qw) or 4 (a row of a 3x4 matrix)",
        "use the .gt.freiburg or .gt.sim file of the sequence",
    )


def _freiburg(
    rows: list[list[str]], name: str, report: ReaderReport
) -> dict[int, npt.NDArray[np.float64]]:
    poses: dict[int, npt.NDArray[np.float64]] = {}
    for words in rows:
        try:
            number = float(words[0])
        except ValueError:
            number = np.nan
        if not number.is_integer():
            report.skip(f"malformed line in {name}")
            continue
        pose = pose_of_words(words[1:], name, report)
        if pose is not None:
            poses[int(number)] = _FLIP_Y @ pose @ _FLIP_Y
    return poses


def _matrices(
    rows: list[list[str]], path: Path, report: ReaderReport
) -> dict[int, npt.NDArray[np.float64]]:
    try:
        # One bad number does not shift the others, as long as every row keeps its four words.
        values = np.array([[float(word) for word in words] for words in rows])
        matrices = values.reshape(-1, 3, 4)
    except ValueError as problem:
        raise DataError.from_parts(
            f"poses {path}", problem, "3x4 matrices, four numbers a line", "download it again"
        ) from problem
    poses: dict[int, npt.NDArray[np.float64]] = {}
    for number, matrix in enumerate(matrices):
        pose = rigid_pose(matrix)
        if pose is None:
            report.skip(f"pose not finite or not rigid in {path.name}")
        else:
            poses[int(number)] = _FLIP_Y @ pose @ _FLIP_Y
    return poses


def rigid_pose(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Return a 3x4 matrix as a (4, 4) transform with an exact rotation, or None if not rigid."""
    rotation = matrix[:, :3]
    if not np.isfinite(matrix).all() or np.linalg.det(rotation) < 0.0:
        return None
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > _RIGID_TOLERANCE:
        return None
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_matrix(rotation).as_matrix()
    pose[:3, 3] = matrix[:, 3]
    return pose
