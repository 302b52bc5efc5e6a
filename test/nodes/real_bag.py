"""A rosbag2 with real frames, written as a camera driver's messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.pose_messages import pose_message
from e2e_slam_ros.nodes.stamps import ns_to_stamp

OPTICAL = "camera_optical_frame"
TOPICS = {
    "image_topic": "/camera/color/image_raw",
    "camera_info_topic": "/camera/color/camera_info",
    "depth_topic": "/camera/aligned_depth_to_color/image_raw",
    "pose_topic": "/camera/pose",
}
_KINDS = {
    "image_topic": "sensor_msgs/msg/Image",
    "camera_info_topic": "sensor_msgs/msg/CameraInfo",
    "depth_topic": "sensor_msgs/msg/Image",
    "pose_topic": "geometry_msgs/msg/PoseStamped",
}


def write_bag(
    path: Path, frames: Sequence[Frame], storage: StoragePlugin = StoragePlugin.MCAP
) -> Path:
    """Write frames with depth and pose; return the bag's folder."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {
            name: writer.add_connection(topic, _KINDS[name], typestore=store)
            for name, topic in TOPICS.items()
        }
        for frame in frames:
            stamp = ns_to_stamp(frame.stamp_ns)
            assert frame.depth is not None and frame.T_map_camera is not None
            messages = {
                "pose_topic": pose_message(frame.T_map_camera, stamp, "map"),
                "camera_info_topic": camera_info_message(frame.camera, stamp, OPTICAL),
                "depth_topic": image_message(frame.depth, "32FC1", stamp, OPTICAL),
                "image_topic": image_message(frame.image, "rgb8", stamp, OPTICAL),
            }
            for delay_ns, (name, message) in enumerate(messages.items()):
                recorded_ns = frame.stamp_ns + 1_000_000 * delay_ns
                writer.write(connections[name], recorded_ns, serialize_message(message))
    return path
