"""The columns of a file of poses: what each number of a line is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_track import pose_matrix
from e2e_slam_ros.data.text_list import ListEntry

_W_FIRST = re.compile(r"(q_?rs_?w|\bqw\b|\bq_w\b).*(q_?rs_?x|\bqx\b|\bq_x\b)", re.IGNORECASE)
# Columns after the stamp: tx ty tz and a quaternion; 3x4 and 4x4 by rows; EuRoC's with velocity
# and biases.
_QUATERNION, _ROWS_3, _ROWS_4 = 7, 12, 16
_ROTATION_ERROR, _UNIT_ERROR = 1e-2, 0.1


class PoseColumns:
    """The layout of a file of poses, found from its comment and its lines.

    Raises:
        DataError: another number of columns than any known layout, or numbers that are no poses.

    >>> lines = [ListEntry(0, tuple("0 0 0 0 0 0 1".split()))]
    >>> PoseColumns(Path("groundtruth.txt"), "", lines, ReaderReport()).layout
    'stamp tx ty tz qx qy qz qw'
    """

    def __init__(
        self, path: Path, comment: str, entries: Sequence[ListEntry], report: ReaderReport
    ) -> None:
        self._name = path.name
        self._report = report
        self.count = _QUATERNION
        if entries:
            self.count = Counter(len(entry.words) for entry in entries).most_common(1)[0][0]
        self.layout = self._layout(comment, entries)
        if self.layout != "stamp tx ty tz qx qy qz qw":
            report.note(f"{path.name}: columns read as {self.layout}")
        if entries and "q" in self.layout:
            self._check_units(entries)

    def pose(self, words: Sequence[str]) -> npt.NDArray[np.float64] | None:
        """Return (4, 4) of the words after a stamp; None, counted, if they are no pose."""
        try:
            if len(words) != self.count:
                raise ValueError(words)
            values = [float(word) for word in words]
        except ValueError:
            self._report.skip(f"malformed line in {self._name}")
            return None
        try:
            if "q" in self.layout:
                return pose_matrix(values[:3], self._xyzw(values))
            return _rigid(values)
        except ValueError:
            why = "zero quaternion" if "q" in self.layout else "no rotation"
            self._report.skip(f"pose not finite or {why} in {self._name}")
            return None

    def _layout(self, comment: str, entries: Sequence[ListEntry]) -> str:
        w_first = bool(_W_FIRST.search(comment))
        if self.count == _QUATERNION:
            return f"stamp tx ty tz {'qw qx qy qz' if w_first else 'qx qy qz qw'}"
        if self.count == _ROWS_4 and _share(entries, _ends_a_matrix) > 0.5:
            return "stamp and the rows of a 4x4 matrix, camera to map"
        if self.count == _ROWS_3 and _share(entries, _is_rigid) > 0.5:
            return "stamp and the rows of a 3x4 matrix, camera to map"
        if self.count > _QUATERNION and w_first:
            return "stamp tx ty tz qw qx qy qz and more, as in EuRoC"
        stamped = self.count + 1
        hint = ""
        if stamped in (_ROWS_3, _ROWS_4):
            hint = f"; rows of {stamped} numbers are matrices without stamps: write the stamps"
        raise DataError.from_parts(
            f"poses {self._name}",
            f"{stamped} columns",
            "8 columns: stamp tx ty tz qx qy qz qw (or a stamp and the rows of a matrix: 13, 17)",
            f"write the file again with these columns{hint}",
        )

    def _xyzw(self, values: Sequence[float]) -> Sequence[float]:
        if "qw qx" in self.layout:
            return (*values[4:7], values[3])
        return values[3:7]

    def _check_units(self, entries: Sequence[ListEntry]) -> None:
        """Refuse columns of which most are no unit quaternions."""

        def is_other(entry: ListEntry) -> bool:
            quaternion = np.array([float(word) for word in entry.words[3:7]])
            length = float(np.linalg.norm(quaternion))
            return np.isfinite(length) and length > 1e-3 and abs(length - 1.0) > _UNIT_ERROR

        if _share(entries, is_other) > 0.5:
            raise DataError.from_parts(
                f"poses {self._name}",
                f"quaternions whose length is not 1, such as {' '.join(entries[0].words[3:7])}",
                self.layout,
                "write the file again with these columns",
            )


def _share(entries: Sequence[ListEntry], holds: object) -> float:
    """Return the share of entries for which a check holds; one that fails counts as no."""
    assert callable(holds)
    count = 0
    for entry in entries:
        try:
            count += bool(holds(entry))
        except (ValueError, IndexError):
            continue
    return count / max(1, len(entries))


def _ends_a_matrix(entry: ListEntry) -> bool:
    return np.allclose([float(w) for w in entry.words[12:16]], (0, 0, 0, 1)) and _is_rigid(entry)


def _is_rigid(entry: ListEntry) -> bool:
    _rigid([float(word) for word in entry.words])
    return True


def _rigid(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the matrix of 12 or 16 numbers by rows.

    Raises:
        ValueError: its left part is no rotation, or a number is not finite.
    """
    matrix = np.eye(4)
    matrix[:3] = np.array(values[:12], dtype=np.float64).reshape(3, 4)
    rotation = matrix[:3, :3]
    if not np.isfinite(matrix).all():
        raise ValueError("not finite")
    off = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if off > _ROTATION_ERROR or np.linalg.det(rotation) < 0:
        raise ValueError("no rotation")
    u, _, vt = np.linalg.svd(rotation)
    matrix[:3, :3] = u @ vt
    return matrix
