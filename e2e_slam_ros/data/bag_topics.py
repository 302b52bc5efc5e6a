"""Roles of a recording's topics: colour image, depth, calibration and pose."""

from __future__ import annotations

from collections.abc import Sequence

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.bag_file import Topic
from e2e_slam_ros.data.frame import ReaderReport

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseWithCovarianceStamped"
ODOMETRY = "nav_msgs/msg/Odometry"
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
POSE_TYPES = (POSE_STAMPED, POSE_WITH_COVARIANCE, ODOMETRY)
# An image transport appends its name to the topic.
_TRANSPORTS = ("/compressed", "/compressedDepth")


def named(topics: Sequence[Topic], name: str, types: Sequence[str], role: str) -> Topic:
    """Return the topic that the user named.

    Raises:
        DataError: the topic is not in the recording, or has another type.
    """
    wanted = name if name.startswith("/") else f"/{name}"
    for topic in topics:
        if topic.name in (name, wanted) and topic.type in types:
            return topic
    known = [f"{t.name} [{t.type}]" for t in topics if t.type in types]
    raise DataError.from_parts(
        f"{role} topic",
        f"{name!r}, which the recording does not have with a usable type",
        f"one of {', '.join(known) or 'none: it has no such topic'}",
        f"name one of these as {role} topic, or record it",
    )


def choose_color(topics: Sequence[Topic], depth: set[str], report: ReaderReport) -> Topic:
    """Return the likeliest colour image topic. If there are several, a note names the choice.

    Args:
        depth: names of the image topics that hold depth.

    Raises:
        DataError: there is no colour image topic.
    """
    found = [t for t in topics if t.type in IMAGE_TYPES and t.name not in depth]
    if not found:
        raise DataError.from_parts(
            "recording",
            f"topics {', '.join(t.name for t in topics) or 'none'}",
            "a colour image topic (sensor_msgs Image or CompressedImage)",
            "record the camera's image topic",
        )
    return _first(sorted(found, key=_color_rank), "image", report)


def choose_depth(
    topics: Sequence[Topic], depth: set[str], color: Topic, report: ReaderReport
) -> Topic | None:
    """Return the depth topic that is most probably registered to ``color``, or None."""
    found = [t for t in topics if t.name in depth]
    if not found:
        report.note("no depth topic: the frames have no depth")
        return None
    return _first(sorted(found, key=lambda t: _depth_rank(t, color)), "depth", report)


def choose_camera_info(topics: Sequence[Topic], image: Topic) -> Topic | None:
    """Return the calibration topic beside an image topic.

    If there is none, return the only one or None.
    """
    infos = [t for t in topics if t.type == CAMERA_INFO]
    beside = f"{base_topic(image.name).rpartition('/')[0]}/camera_info"
    for topic in infos:
        if topic.name == beside:
            return topic
    return infos[0] if len(infos) == 1 else None


def base_topic(name: str) -> str:
    """Return the image topic of a transport's topic (``.../compressed``)."""
    for transport in _TRANSPORTS:
        if name.endswith(transport):
            return name[: -len(transport)]
    return name


def is_rectified(name: str) -> bool:
    """Return whether an image topic is rectified, by the naming rule of image_proc."""
    return base_topic(name).rpartition("/")[2].startswith("image_rect")


def _first(topics: Sequence[Topic], role: str, report: ReaderReport) -> Topic:
    if len(topics) > 1:
        others = ", ".join(t.name for t in topics[1:])
        report.note(f"{role} topic {topics[0].name} chosen; also there: {others}")
    return topics[0]


def _color_rank(topic: Topic) -> tuple[bool, bool, bool, bool, str]:
    name = topic.name.lower()
    coloured = "rgb" in name or "color" in name or "colour" in name
    mono = any(word in name for word in ("infra", "mono", "/ir/", "right"))
    rendered = any(word in name for word in ("debug", "overlay", "annotated", "keyframe"))
    return (rendered, mono, not coloured, topic.type == COMPRESSED_IMAGE, topic.name)


def _depth_rank(topic: Topic, color: Topic) -> tuple[bool, bool, int, str]:
    name = topic.name.lower()
    registered = "aligned" in name or "registered" in name
    shared = 0
    for a, b in zip(color.name.split("/"), topic.name.split("/"), strict=False):
        if a != b:
            break
        shared += 1
    return (not registered, topic.type == COMPRESSED_IMAGE, -shared, topic.name)
