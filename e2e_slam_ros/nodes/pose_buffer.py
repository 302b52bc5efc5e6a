"""A buffer of stamped poses, with look-up at an image's stamp."""

from __future__ import annotations

import bisect

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.pose_track import PoseTrack

# A stamp this much older than the last one means that a recording started again.
LOOP_NS = 1_000_000_000
Matrix = npt.NDArray[np.float64]


class PoseBuffer:
    """The last ``size`` stamped poses, in stamp order. Unusable poses are kept as errors.

    Not thread-safe. The executor thread owns it.
    """

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._stamps_ns: list[int] = []
        self._poses: list[Matrix | PoseError] = []

    def add(self, stamp_ns: int, pose: Matrix | PoseError) -> None:
        """Keep a pose. It replaces one with the same stamp.

        A pose far older than the last one means that a recording starts again. The poses of its
        last round are then dropped.
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
        """Return the (4, 4) pose at ``stamp_ns``, or None while a better one may still arrive.

        A pose with exactly that stamp is returned unchanged. Between two poses within the
        tolerance the pose is interpolated. With ``last_chance``, one neighbour within the
        tolerance is enough.

        Raises:
            PoseError: the pose with that stamp cannot be used.
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
        """Return whether a later pose has arrived. Waiting for that stamp is then useless."""
        return bool(self._stamps_ns) and self._stamps_ns[-1] > stamp_ns

    def restart(self, stamp_ns: int) -> None:
        """Handle a jump back in time to ``stamp_ns``.

        Poses with far later stamps belong to the round before the jump. They are dropped.
        """
        keep = bisect.bisect_right(self._stamps_ns, stamp_ns + LOOP_NS)
        del self._stamps_ns[keep:], self._poses[keep:]

    def clear(self) -> None:
        """Forget every pose."""
        self._stamps_ns.clear()
        self._poses.clear()
