"""A trajectory with interpolation between its poses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation, Slerp

# A longer gap is a failure of what publishes the poses, and no lower rate.
_GAP_PERIODS = 3.0


class PoseTrack:
    """Poses in time order, interpolated between neighbours.

    Args:
        stamps_ns: (N,) strictly increasing stamps, nanoseconds.
        poses: (N, 4, 4) rigid transforms.

    >>> end = np.eye(4)
    >>> end[0, 3] = 1.0
    >>> track = PoseTrack(np.array([0, 100]), np.stack([np.eye(4), end]))
    >>> float(track.at(50, tolerance_ns=100)[0, 3])
    0.5
    """

    def __init__(self, stamps_ns: npt.NDArray[np.int64], poses: npt.NDArray[np.float64]) -> None:
        self._stamps_ns = np.asarray(stamps_ns, dtype=np.int64)
        self._poses = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)

    def __len__(self) -> int:
        return len(self._stamps_ns)

    def at(self, stamp_ns: int, tolerance_ns: int) -> npt.NDArray[np.float64] | None:
        """Return the (4, 4) pose at ``stamp_ns``, or None.

        A pose with exactly that stamp is returned unchanged. With a neighbour within the tolerance
        on both sides, the translation is interpolated linearly and the rotation along the great
        circle. With only one such neighbour, its pose is returned. This happens at the ends of the
        recording and beside gaps. Without a neighbour the result is None. Nothing is extrapolated.
        """
        after = int(np.searchsorted(self._stamps_ns, stamp_ns, side="left"))
        if after < len(self) and int(self._stamps_ns[after]) == stamp_ns:
            pose: npt.NDArray[np.float64] = self._poses[after].copy()
            return pose
        near = [
            index
            for index in (after - 1, after)
            if 0 <= index < len(self)
            and abs(int(self._stamps_ns[index]) - stamp_ns) <= tolerance_ns
        ]
        if len(near) == 2:
            return self._between(near[0], near[1], stamp_ns)
        return self._poses[near[0]].copy() if near else None

    def between_neighbours(
        self, stamp_ns: int, tolerance_ns: int, longest_ns: int | None = None
    ) -> npt.NDArray[np.float64] | None:
        """Return the (4, 4) pose at ``stamp_ns``, interpolated whatever the rate is; or None.

        A gap of more than three times the usual period or ``longest_ns``, and the time before the
        first and after the last pose, are bridged only within the tolerance (`at`).
        """
        after = int(np.searchsorted(self._stamps_ns, stamp_ns, side="right"))
        if 0 < after < len(self):
            gap = int(self._stamps_ns[after] - self._stamps_ns[after - 1])
            is_short = longest_ns is None or gap <= longest_ns
            if is_short and gap <= _GAP_PERIODS * self._period_ns:
                return self._between(after - 1, after, stamp_ns)
        return self.at(stamp_ns, tolerance_ns)

    @cached_property
    def _period_ns(self) -> float:
        return float(np.median(np.diff(self._stamps_ns))) if len(self) > 1 else 0.0

    def _between(self, before: int, after: int, stamp_ns: int) -> npt.NDArray[np.float64]:
        start, stop = int(self._stamps_ns[before]), int(self._stamps_ns[after])
        share = (stamp_ns - start) / (stop - start)
        pair = self._poses[[before, after]]
        pose = np.eye(4)
        rotations = Rotation.from_matrix(pair[:, :3, :3])
        pose[:3, :3] = Slerp([0.0, 1.0], rotations)(share).as_matrix()
        pose[:3, 3] = (1.0 - share) * pair[0, :3, 3] + share * pair[1, :3, 3]
        return pose


def pose_matrix(
    translation: Sequence[float], quaternion_xyzw: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return the (4, 4) transform of a translation and a quaternion of any length above zero.

    Raises:
        ValueError: a value that is not finite, or a quaternion of length zero.
    """
    values = np.array([*translation, *quaternion_xyzw], dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a value is not finite")
    # A written unit quaternion has length 1 up to rounding. A far shorter one is no rotation.
    if np.linalg.norm(values[3:]) < 1e-3:
        raise ValueError("the quaternion is zero")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(values[3:]).as_matrix()
    pose[:3, 3] = values[:3]
    return pose
