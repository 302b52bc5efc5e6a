"""Stamped poses as they arrive, asked for the pose at an image's stamp."""

from __future__ import annotations

import bisect

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.pose_track import PoseTrack

# A stamp this much older than the last one is a recording that started again, not disorder.
LOOP_NS = 1_000_000_000
Matrix = npt.NDArray[np.float64]


class PoseBuffer:
    """The last ``size`` stamped poses, in stamp order. Unusable ones are kept as such.

    Not thread-safe; the executor thread owns it.
    """

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._stamps_ns: list[int] = []
        self._poses: list[Matrix | PoseError] = []

    def add(self, stamp_ns: int, pose: Matrix | PoseError) -> None:
        """Keep a pose; one of the same stamp is replaced.

        A pose far older than the last one means that a recording starts again: the poses of
        its last round are forgotten.
        """
        if self._stamps_ns and stamp_ns < self._stamps_ns[-1] - LOOP_NS:
            self.clear()
        at = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if at < len(self._stamps_ns) and self._stamps_ns[at] == stamp_ns:
            self._poses[at] = pose
            return
        self._stamps_ns.insert(at, stamp_ns)
        self._poses.insert(at, pose)
        if len(self._stamps_ns) > self._size:
            del self._stamps_ns[0], self._poses[0]

    def at(self, stamp_ns: int, tolerance_ns: int, last_chance: bool) -> Matrix | None:
        """Return the (4, 4) pose at ``stamp_ns``, or None while a better one may still come.

        A pose of exactly that stamp is taken as it is; between two poses within the tolerance
        it is interpolated; with ``last_chance`` one neighbour within the tolerance is enough.

        Raises:
            PoseError: the pose of that stamp cannot be used.
        """
        after = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if after < len(self._stamps_ns) and self._stamps_ns[after] == stamp_ns:
            exact = self._poses[after]
            if isinstance(exact, PoseError):
                raise exact
            return exact
        if after == len(self._stamps_ns) and not last_chance:
            return None
        near = [
            (self._stamps_ns[index], pose)
            for index in (after - 1, after)
            if 0 <= index < len(self._stamps_ns)
            and not isinstance(pose := self._poses[index], PoseError)
        ]
        if not near:
            return None
        track = PoseTrack(np.array([s for s, _ in near]), np.array([pose for _, pose in near]))
        return track.at(stamp_ns, tolerance_ns)

    def passed(self, stamp_ns: int) -> bool:
        """Return whether a later pose has arrived: waiting for that stamp is in vain."""
        return bool(self._stamps_ns) and self._stamps_ns[-1] > stamp_ns

    def restart(self, stamp_ns: int) -> None:
        """Learn that stamps start again here: poses far behind it are of the last round."""
        keep = bisect.bisect_right(self._stamps_ns, stamp_ns + LOOP_NS)
        del self._stamps_ns[keep:], self._poses[keep:]

    def clear(self) -> None:
        """Forget every pose."""
        self._stamps_ns.clear()
        self._poses.clear()
