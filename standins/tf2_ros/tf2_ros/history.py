"""History of one frame: its parent and its poses over time."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

Matrix = NDArray[np.float64]


class History:
    """Poses T_parent_frame of one frame, ordered by time.

    A static frame has one pose for all times.
    """

    def __init__(self, parent: str, static: bool, keep_ns: int) -> None:
        self.parent = parent
        self.static = static
        self._keep_ns = keep_ns
        self._stamps: list[int] = []
        self._translations: list[Matrix] = []
        self._rotations: list[Rotation] = []

    @property
    def first_ns(self) -> int:
        """Oldest stamp kept, nanoseconds."""
        return self._stamps[0]

    @property
    def last_ns(self) -> int:
        """Newest stamp, nanoseconds."""
        return self._stamps[-1]

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp_ns: int, translation: Matrix, rotation: Rotation) -> bool:
        """Insert one pose. Return False if it is older than the kept range."""
        if self.static:
            self._stamps, self._translations, self._rotations = [], [], []
        elif self._stamps and stamp_ns < self.last_ns - self._keep_ns:
            return False
        index = bisect_left(self._stamps, stamp_ns)
        if index < len(self._stamps) and self._stamps[index] == stamp_ns:
            self._translations[index], self._rotations[index] = translation, rotation
            return True
        self._stamps.insert(index, stamp_ns)
        self._translations.insert(index, translation)
        self._rotations.insert(index, rotation)
        self._forget(bisect_left(self._stamps, self.last_ns - self._keep_ns))
        return True

    def covers(self, stamp_ns: int) -> bool:
        """Return whether `at` can answer without extrapolation."""
        return self.static or bool(self._stamps and self.first_ns <= stamp_ns <= self.last_ns)

    def at(self, stamp_ns: int) -> Matrix:
        """Return T_parent_frame (4, 4) at a stamp.

        Between neighbours the translation is interpolated linearly and the rotation spherically.
        """
        if self.static:
            return _matrix(self._translations[0], self._rotations[0])
        index = bisect_left(self._stamps, stamp_ns)
        if self._stamps[index] == stamp_ns:
            return _matrix(self._translations[index], self._rotations[index])
        before, after = self._stamps[index - 1], self._stamps[index]
        part = (stamp_ns - before) / (after - before)
        translation = (1 - part) * self._translations[index - 1] + part * self._translations[index]
        ends = Rotation.concatenate(self._rotations[index - 1 : index + 1])
        return _matrix(translation, Slerp([0.0, 1.0], ends)(part))

    def _forget(self, count: int) -> None:
        del self._stamps[:count]
        del self._translations[:count]
        del self._rotations[:count]


def _matrix(translation: Matrix, rotation: Rotation) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix()
    matrix[:3, 3] = translation
    return matrix
