"""Stamped poses of one topic, with the frames that its messages name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.bag_file import BagFile
from e2e_slam_ros.data.bag_topics import POSE_STAMPED, TRANSFORM_STAMPED
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_message import matrix_of, stamp_of
from e2e_slam_ros.data.pose_track import PoseTrack
from e2e_slam_ros.data.transform_tree import track_of


@dataclass(frozen=True, eq=False)
class RecordedPoses:
    """Poses of one topic.

    Attributes:
        frame, child: frame_id and child_frame_id of most messages, without leading slash.
        stamps_ns: of the poses, increasing.
        track: the poses.

    >>> RecordedPoses("map", "", [0], track_of({0: np.eye(4)})).child
    ''
    """

    frame: str
    child: str
    stamps_ns: Sequence[int]
    track: PoseTrack


def read_poses(
    bag: BagFile, name: str, kind: str, clock: str, report: ReaderReport
) -> RecordedPoses:
    """Read a topic of PoseStamped, TransformStamped, Odometry or of poses with covariance.

    Messages in other frames than most are left out and counted. So are poses that are none.
    """
    read: list[tuple[int, str, str, npt.NDArray[np.float64]]] = []
    for recorded_ns, message in bag.messages(name):
        header = message.header
        stamp_ns = stamp_of(header, recorded_ns, clock)
        matrix = _matrix_of(message, kind)
        if matrix is None:
            report.skip(f"pose not finite or zero quaternion in {name}")
            continue
        child = str(getattr(message, "child_frame_id", "")).lstrip("/")
        read.append((stamp_ns, str(header.frame_id).lstrip("/"), child, matrix))
    if not read:
        return RecordedPoses("", "", (), track_of({}))
    (frame, child), _ = Counter((f, c) for _, f, c, _ in read).most_common(1)[0]
    others = [f or "no frame_id" for _, f, c, _ in read if (f, c) != (frame, child)]
    if others:
        report.skip(f"pose in another frame ({others[0]}) in {name}", len(others))
    poses = {s: m for s, f, c, m in read if (f, c) == (frame, child)}
    return RecordedPoses(frame, child, sorted(poses), track_of(poses))


def _matrix_of(message: Any, kind: str) -> npt.NDArray[np.float64] | None:
    if kind == TRANSFORM_STAMPED:
        return matrix_of(message.transform.translation, message.transform.rotation)
    pose = message.pose if kind == POSE_STAMPED else message.pose.pose
    return matrix_of(pose.position, pose.orientation)
