"""A recorded frame as the messages of a camera driver and a motion capture system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.pose_messages import pose_message, transform_message
from e2e_slam_ros.nodes.qos import image_publisher, reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp

# REP-103: z forward, x right, y down in the optical frame; x forward, z up in the link's.
_T_OPTICAL_LINK = np.array(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


@dataclass(frozen=True, eq=False)
class FrameMessages:
    """The messages of one frame."""

    stamp_ns: int
    image: Image
    info: CameraInfo
    depth: Image | None
    pose: PoseStamped | None


class FramePublisher:
    """Publishes frames, the clock and the camera's static transform."""

    def __init__(self, node: Node, map_frame: str, camera_frame: str) -> None:
        self._map_frame = map_frame
        self._camera_frame = camera_frame
        qos = image_publisher()
        self._clock = node.create_publisher(Clock, "/clock", reliable(10))
        self._pose = node.create_publisher(PoseStamped, "camera/pose", reliable(10))
        self._depth = node.create_publisher(Image, "camera/depth/image_raw", qos)
        self._info = node.create_publisher(CameraInfo, "camera/camera_info", qos)
        self._image = node.create_publisher(Image, "camera/image_raw", qos)
        # The link is a child of the optical frame, whose parent is the map (published by SLAM).
        self._static = StaticTransformBroadcaster(node)
        link = "camera_link"
        self._static.sendTransform(transform_message(_T_OPTICAL_LINK, Time(), camera_frame, link))

    def messages(self, frame: Frame) -> FrameMessages:
        """Return a frame as messages.

        It copies the pixels, so it is slow. Any thread may call it.
        """
        stamp, camera_frame = ns_to_stamp(frame.stamp_ns), self._camera_frame
        depth = pose = None
        if frame.depth is not None:
            depth = image_message(frame.depth, "32FC1", stamp, camera_frame)
        if frame.T_map_camera is not None:
            pose = pose_message(frame.T_map_camera, stamp, self._map_frame)
        return FrameMessages(
            stamp_ns=frame.stamp_ns,
            image=image_message(frame.image, "rgb8", stamp, camera_frame),
            info=camera_info_message(frame.camera, stamp, camera_frame),
            depth=depth,
            pose=pose,
        )

    def send(self, messages: FrameMessages) -> None:
        """Publish a frame.

        Messages that TF needs go first, and depth, which may be late, goes last.
        """
        self._clock.publish(Clock(clock=messages.image.header.stamp))
        if messages.pose is not None:
            self._pose.publish(messages.pose)
        self._info.publish(messages.info)
        self._image.publish(messages.image)
        if messages.depth is not None:
            self._depth.publish(messages.depth)

    def has_listener(self) -> bool:
        """Return whether the image topic has a subscriber."""
        return bool(self._image.get_subscription_count() > 0)

    def is_connected(self) -> bool:
        """Return whether every topic has a subscriber."""
        ends = (self._image, self._info, self._pose, self._depth)
        return all(publisher.get_subscription_count() > 0 for publisher in ends)

    def flush(self, timeout_s: float) -> None:
        """Wait until reliable subscribers have received everything, at most ``timeout_s``."""
        for publisher in (self._pose, self._depth, self._info, self._image):
            publisher.wait_for_all_acked(Duration(seconds=timeout_s))
