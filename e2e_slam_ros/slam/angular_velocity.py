"""How fast the camera turns at the frames that came last."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid

Vector = npt.NDArray[np.float64]

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
        self._last: Frame | None = None
        self._known: deque[tuple[int, Vector]] = deque(maxlen=_KEPT)

    def observe(self, frame: Frame) -> None:
        """Note the pose of the next frame."""
        with self._lock:
            last, self._last = self._last, frame
            if last is None or not 0 < frame.stamp_ns - last.stamp_ns < _LONGEST_NS:
                return
            assert last.T_map_camera is not None and frame.T_map_camera is not None
            motion = rigid.inverse(last.T_map_camera) @ frame.T_map_camera
            seconds = (frame.stamp_ns - last.stamp_ns) * 1e-9
            self._known.append((frame.stamp_ns, rigid.rotation_vector(motion[:3, :3]) / seconds))

    def at(self, stamp_ns: int) -> Vector:
        """Return (3,) rad/s in the camera's frame at a frame's stamp; zeros where unknown."""
        with self._lock:
            return next((w for stamp, w in self._known if stamp == stamp_ns), np.zeros(3))
