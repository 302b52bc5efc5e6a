"""Camera poses of a recording: from a pose topic, from odometry with TF, or from TF alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.bag_file import BagFile, Topic
from e2e_slam_ros.data.bag_topics import (
    ODOMETRY,
    POSE_STAMPED,
    POSE_TYPES,
    TF_TYPES,
    base_topic,
    named,
)
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_track import pose_matrix
from e2e_slam_ros.data.transform_tree import TransformTree, track_of

PoseAt: TypeAlias = Callable[[int], "npt.NDArray[np.float64] | None"]


class BagPoses:
    """Finds the pose source of a recording.

    Args:
        camera_frame: optical frame of the camera (the images' frame_id).
        map_frame: frame of the poses from TF; None = map, world or odom, else the root.
        tolerance_ns: largest time difference between an image and a recorded pose.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from rosbags.rosbag2 import Writer
    >>> image, report = Topic("/camera/image_raw", "sensor_msgs/msg/Image", 1), ReaderReport()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(Path(folder) / "run", version=9):  # a recording without poses
    ...         pass
    ...     bag = BagFile(Path(folder) / "run")
    ...     pose_at = BagPoses(bag, [image], image, "camera", None, 10**8, report).find(None)
    ...     bag.close()
    >>> pose_at is None, report.notes
    (True, ['no pose topic, odometry or moving TF: the frames have no pose'])
    """

    def __init__(
        self,
        bag: BagFile,
        topics: Sequence[Topic],
        image: Topic,
        camera_frame: str,
        map_frame: str | None,
        tolerance_ns: int,
        report: ReaderReport,
    ) -> None:
        self._bag = bag
        self._topics = topics
        self._image = image
        self._camera_frame = camera_frame
        self._map_frame = map_frame
        self._tolerance_ns = tolerance_ns
        self._report = report
        self._tree = read_transforms(bag, topics, report)

    def find(self, pose_topic: str | None) -> PoseAt | None:
        """Return a function from a stamp to the camera's pose, or None if there is no pose source.

        A named ``pose_topic`` is used. Otherwise the sources are tried in this order: a pose topic
        beside the image topic (``camera/pose``), TF with motion between the camera and the map,
        odometry, any other pose topic.

        Raises:
            DataError: ``pose_topic`` is named and cannot be used.
        """
        if pose_topic is not None:
            topic = named(self._topics, pose_topic, (*POSE_TYPES, *TF_TYPES), "pose")
            found = self._of_tf() if topic.type in TF_TYPES else self._of_topic(topic)
            if found is None:
                raise DataError.from_parts(
                    f"pose topic {topic.name}",
                    f"no transforms that lead to {self._camera_frame!r}",
                    "TF between the pose's frame and the camera's optical frame",
                    "record /tf_static, or set camera_frame",
                )
            return found
        namespace = base_topic(self._image.name).rpartition("/")[0]
        poses = [t for t in self._topics if t.type in POSE_TYPES]
        beside = [t for t in poses if namespace and t.name.startswith(f"{namespace}/")]
        odometry = [t for t in poses if t.type == ODOMETRY]
        for topic in [t for t in beside if t.type == POSE_STAMPED]:
            return self._of_topic(topic)
        found = self._of_tf()
        for topic in [*odometry, *(t for t in poses if t.type != ODOMETRY)]:
            found = found or self._of_topic(topic)
        if found is None:
            self._report.note("no pose topic, odometry or moving TF: the frames have no pose")
        return found

    def _of_tf(self) -> PoseAt | None:
        frame = self._camera_frame
        world = self._map_frame or self._tree.world_of(frame)
        if world is None or not self._tree.is_moving(world, frame):
            return None
        self._report.note(f"poses are TF {world} <- {frame}")
        tree, tolerance_ns = self._tree, self._tolerance_ns
        return lambda stamp_ns: tree.lookup(world, frame, stamp_ns, tolerance_ns)

    def _of_topic(self, topic: Topic) -> PoseAt | None:
        """Return the poses of a topic.

        If the message names a child frame, TF moves them to the camera.
        """
        poses: dict[int, npt.NDArray[np.float64]] = {}
        child = ""
        for recorded_ns, message in self._bag.messages(topic.name):
            stamp_ns = stamp_of(message.header) or recorded_ns
            pose = message.pose if topic.type == POSE_STAMPED else message.pose.pose
            matrix = _matrix(pose.position, pose.orientation, topic.name, self._report)
            if matrix is not None:
                poses[stamp_ns] = matrix
            child = str(getattr(message, "child_frame_id", "")).lstrip("/") or child
        track, tree, tolerance_ns = track_of(poses), self._tree, self._tolerance_ns
        frame = self._camera_frame
        if child in ("", frame):
            self._report.note(f"poses are {topic.name}, read as the camera's optical frame")
            return lambda stamp_ns: track.at(stamp_ns, tolerance_ns)
        if child not in tree.ancestors(frame):
            self._report.note(
                f"{topic.name} is the pose of {child!r}, and no TF leads from there to {frame!r}"
            )
            return None
        self._report.note(f"poses are {topic.name} with TF {child} <- {frame}")

        def at(stamp_ns: int) -> npt.NDArray[np.float64] | None:
            body = track.at(stamp_ns, tolerance_ns)
            mount = tree.lookup(child, frame, stamp_ns, tolerance_ns)
            return None if body is None or mount is None else body @ mount

        return at


def read_transforms(bag: BagFile, topics: Sequence[Topic], report: ReaderReport) -> TransformTree:
    """Return all TF of a recording. Transforms of ``/tf_static`` hold at any time."""
    tree = TransformTree()
    for topic in (t for t in topics if t.type in TF_TYPES):
        is_static = topic.name.rpartition("/")[2] == "tf_static"
        for recorded_ns, message in bag.messages(topic.name):
            for item in message.transforms:
                value = item.transform
                matrix = _matrix(value.translation, value.rotation, topic.name, report)
                if matrix is None:
                    continue
                stamp_ns = None if is_static else stamp_of(item.header) or recorded_ns
                tree.add(item.header.frame_id, item.child_frame_id, stamp_ns, matrix)
    return tree


def stamp_of(header: Any) -> int:
    """Return a header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _matrix(
    position: Any, orientation: Any, topic: str, report: ReaderReport
) -> npt.NDArray[np.float64] | None:
    translation = (position.x, position.y, position.z)
    quaternion = (orientation.x, orientation.y, orientation.z, orientation.w)
    try:
        return pose_matrix(translation, quaternion)
    except ValueError:
        report.skip(f"pose not finite or zero quaternion in {topic}")
        return None
