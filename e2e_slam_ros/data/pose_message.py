"""Stamp and pose of a message that has both."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.pose_track import pose_matrix


def stamp_of(header: Any, recorded_ns: int, clock: str) -> int:
    """Return the stamp of a message, nanoseconds, by `InputOptions.clock`.

    A stamp of zero was never set: the time of recording takes its place.
    """
    if clock != "header":
        return recorded_ns
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec) or recorded_ns


def matrix_of(position: Any, turn: Any) -> npt.NDArray[np.float64] | None:
    """Return (4, 4) of a position and a quaternion; None if they are no pose.

    >>> from types import SimpleNamespace
    >>> position = SimpleNamespace(x=1.0, y=0.0, z=0.0)
    >>> matrix_of(position, SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0))[:3, 3].tolist()
    [1.0, 0.0, 0.0]
    """
    try:
        return pose_matrix((position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w))
    except ValueError:
        return None
