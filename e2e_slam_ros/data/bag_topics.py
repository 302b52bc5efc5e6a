"""Topics of a recording by their type, and those that the user names."""

from __future__ import annotations

from collections.abc import Sequence

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.bag_file import Topic
from e2e_slam_ros.data.stream import base_topic

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseWithCovarianceStamped"
TRANSFORM_STAMPED = "geometry_msgs/msg/TransformStamped"
ODOMETRY = "nav_msgs/msg/Odometry"
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
POSE_TYPES = (POSE_STAMPED, POSE_WITH_COVARIANCE, TRANSFORM_STAMPED, ODOMETRY)


def named(topics: Sequence[Topic], name: str, types: Sequence[str], which: str) -> Topic:
    """Return the topic that the user named with the option ``which``.

    Raises:
        DataError: the topic is not in the recording, or has another type.
    """
    wanted = name if name.startswith("/") else f"/{name}"
    for topic in topics:
        if topic.name in (name, wanted) and topic.type in types:
            return topic
    known = [f"{t.name} [{t.type}]" for t in topics if t.type in types]
    raise DataError.from_parts(
        which.replace("_", " "),
        f"{name!r}, which the recording does not have with a usable type",
        f"one of {', '.join(known) or 'none: it has no such topic'}",
        f"name one of these with {option(which)}, or record it",
    )


def is_rectified(name: str) -> bool:
    """Return whether an image topic is rectified, by the naming rule of image_proc.

    >>> is_rectified("/camera/image_rect_color/compressed"), is_rectified("/camera/image_raw")
    (True, False)
    """
    words = base_topic(name).split("/")
    return words[-1].startswith("image_rect") or any(w.startswith("rectified") for w in words)
