"""Which pose topics can be the camera's, and of which frame a pose is."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.data.bag_topics import ODOMETRY, POSE_STAMPED, POSE_TYPES
from e2e_slam_ros.data.stream import base_topic

# REP 103: x forward, y left, z up in a body; z forward, x right, y down in an optical frame.
T_BODY_OPTICAL = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
OPTICAL, BODY = "optical", "body"
# Poses that something is to reach, or that something else has.
_NOT_CAMERA = re.compile(
    r"goal|target|setpoint|set_point|waypoint|initial_?pose|clicked|command|cmd|desired|reference"
    r"|plan|marker|tag|aruco|object|landmark|dock|grasp|human|hand|person"
)
_CAMERA = re.compile(r"cam|optical|slam|tracker|vio|orb")


@dataclass(frozen=True)
class PoseCandidate:
    """A pose topic, judged by its type and name.

    Attributes:
        rank: lower is tried earlier; None if it is never the camera's pose.
        reason: why it is not taken, in words.

    >>> PoseCandidate.of("/goal_pose", POSE_STAMPED, "/camera/image_raw").rank is None
    True
    """

    name: str
    kind: str
    rank: int | None
    reason: str = ""

    @classmethod
    def of(cls, name: str, kind: str, image: str) -> PoseCandidate:
        """Judge a topic beside the image topic ``image``.

        Rank 0 is a pose beside the images, which comes before TF; odometry (1) and others (2, 3)
        come after it.
        """
        if kind not in POSE_TYPES:
            return cls(name, kind, None, "not a pose")
        if (found := _NOT_CAMERA.search(name.lower())) is not None:
            return cls(name, kind, None, f"'{found.group()}' in its name: not the camera's pose")
        namespace = base_topic(image).rpartition("/")[0]
        if kind == POSE_STAMPED and namespace and name.startswith(f"{namespace}/"):
            return cls(name, kind, 0)
        if kind == ODOMETRY:
            return cls(name, kind, 1)
        return cls(name, kind, 2 if _CAMERA.search(name.lower()) else 3)


def is_word(frame: str) -> bool:
    """Return whether a pose frame is one of the words, and no TF frame."""
    return frame in (OPTICAL, BODY)
