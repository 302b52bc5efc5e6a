"""A buffer of stamped poses, with look-up at an image's stamp."""

from __future__ import annotations

import bisect

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.pose_track import PoseTrack
from e2e_slam_ros.nodes.stamped_buffer import StampedBuffer

Matrix = npt.NDArray[np.float64]


class PoseBuffer(StampedBuffer[Matrix | PoseError]):
    """The last ``size`` stamped poses, in stamp order. Unusable poses are kept as errors."""

    def __init__(self, size: int = 1000) -> None:
        super().__init__(size)

    def at(self, stamp_ns: int, tolerance_ns: int, last_chance: bool) -> Matrix | None:
        """Return the (4, 4) pose at ``stamp_ns``, or None while a better one may still arrive.

        A pose with exactly that stamp is returned unchanged. Between two poses within the
        tolerance the pose is interpolated. With ``last_chance``, one neighbour within the
        tolerance is enough.

        Raises:
            PoseError: the pose with that stamp cannot be used.
        """
        after = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if self._stamps_ns[after : after + 1] == [stamp_ns]:
            exact = self._items[after]
            if isinstance(exact, PoseError):
                raise exact
            return exact
        if after == len(self._stamps_ns) and not last_chance:
            return None
        near = [
            (self._stamps_ns[index], pose)
            for index in (after - 1, after)
            if 0 <= index < len(self._stamps_ns)
            and not isinstance(pose := self._items[index], PoseError)
        ]
        if not near:
            return None
        track = PoseTrack(np.array([s for s, _ in near]), np.array([pose for _, pose in near]))
        return track.at(stamp_ns, tolerance_ns)
