"""All transforms of a recording."""

from __future__ import annotations

from collections.abc import Sequence

from e2e_slam_ros.data.bag_file import BagFile, Topic
from e2e_slam_ros.data.bag_topics import TF_TYPES
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_message import matrix_of, stamp_of
from e2e_slam_ros.data.transform_tree import TransformTree


def read_transforms(
    bag: BagFile, topics: Sequence[Topic], clock: str, report: ReaderReport
) -> TransformTree:
    """Return all TF of a recording. Transforms of ``/tf_static`` hold at any time.

    Transforms that are none are left out and counted.
    """
    tree = TransformTree()
    for topic in (t for t in topics if t.type in TF_TYPES):
        is_static = topic.name.rpartition("/")[2] == "tf_static"
        for recorded_ns, message in bag.messages(topic.name):
            for item in message.transforms:
                matrix = matrix_of(item.transform.translation, item.transform.rotation)
                if matrix is None:
                    report.skip(f"pose not finite or zero quaternion in {topic.name}")
                    continue
                stamp_ns = None if is_static else stamp_of(item.header, recorded_ns, clock)
                tree.add(item.header.frame_id, item.child_frame_id, stamp_ns, matrix)
    return tree
