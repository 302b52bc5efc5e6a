"""How fast the camera turns at the frames that came last."""

from __future__ import annotations

import threading
from collections import deque
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid

Matrix = npt.NDArray[np.float64]

_KEPT = 64
_LONGEST_NS = 500_000_000


class AngularVelocity:
    """Angular velocity of the last frames, each from the pose of the frame before. Any thread.

    Example:
        >>> from e2e_slam_ros.simulation import ProceduralReader
        >>> velocity = AngularVelocity()
        >>> for frame in ProceduralReader(0, 2, 16, 12, texture_size=16):
        ...     velocity.observe(frame)
        >>> velocity.at(frame.stamp_ns).shape
        (3,)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poses: deque[tuple[int, Matrix]] = deque(maxlen=_KEPT)

    def observe(self, frame: Frame) -> None:
        """Note the pose of the next frame."""
        assert frame.T_map_camera is not None
        with self._lock:
            self._poses.append((frame.stamp_ns, frame.T_map_camera))

    def at(self, stamp_ns: int) -> Matrix:
        """Return (3,) rad/s in the camera's frame at a frame's stamp; zeros where unknown."""
        with self._lock:
            poses = list(self._poses)
        for (before_ns, before), (now_ns, now) in pairwise(poses):
            if now_ns == stamp_ns and 0 < now_ns - before_ns < _LONGEST_NS:
                turn = before[:3, :3].T @ now[:3, :3]
                return np.asarray(rigid.rotation_vector(turn) / ((now_ns - before_ns) * 1e-9))
        return np.zeros(3)

    def clear(self) -> None:
        """Forget all poses."""
        with self._lock:
            self._poses.clear()
