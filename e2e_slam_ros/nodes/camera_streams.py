"""Subscriptions to the camera's topics, and notices about images that are missing or wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.stream import COMPRESSED_IMAGE, IMAGE
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.info_subscription import InfoSubscription
from e2e_slam_ros.nodes.lost_images import KIND as LOST
from e2e_slam_ros.nodes.lost_images import LostImages
from e2e_slam_ros.nodes.qos import image_subscription, wants_reliable
from e2e_slam_ros.nodes.silence_watch import SilenceWatch
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.nodes.stream_check import StreamCheck
from e2e_slam_ros.nodes.video_images import VideoImages


class CameraStreams:
    """Subscriptions to images, ``camera_info`` and depth, raw or compressed.

    Images that are missing, lost or of another kind than the topic says are told of. Everything
    runs in the executor thread.

    Args:
        on_notice: called with a kind and a sentence that costs no frame.
        on_image: takes each image and the time it arrived at, nanoseconds since 1970.
        on_info: takes each ``camera_info``.
        on_depth: takes each depth image; None: depth is not subscribed to.

    Attributes:
        lost: the images that did not arrive.
        paused: images are ignored.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        on_notice: Callable[[str, str], None],
        on_image: Callable[[Image | CompressedImage, int], None],
        on_info: Callable[[CameraInfo], None],
        on_depth: Callable[[Image | CompressedImage], None] | None,
    ) -> None:
        self.paused = False
        self._node = node
        self._offline = config.runtime.offline
        self._on_notice = on_notice
        self._on_image = on_image
        self._on_depth = on_depth
        runtime = config.runtime
        kind, suffix, depth_suffix = Image, "", ""
        if config.camera.transport == "compressed":
            kind, suffix, depth_suffix = CompressedImage, "/compressed", "/compressedDepth"
        image = node.resolve_topic_name("camera/image_raw") + suffix
        self._silence = SilenceWatch(
            node,
            image,
            wants_reliable(runtime),
            runtime.silence_s,
            lambda reason: on_notice("silence", reason),
            COMPRESSED_IMAGE if suffix else IMAGE,
            first_only=runtime.offline,
        )
        self._image_check = StreamCheck(image, "colour", self._on_wrong_stream)
        self._videos = VideoImages(lambda text: on_notice("image", text))
        self.lost = LostImages(node, image, self._on_lost)
        self._infos = InfoSubscription(node, "camera/camera_info", runtime, on_info)
        qos = image_subscription(runtime)
        self._subscriptions = [self.lost.subscribe(node, kind, image, self._receive_image, qos)]
        if on_depth is not None:
            depth = node.resolve_topic_name("camera/depth/image_raw") + depth_suffix
            self._depth_check = StreamCheck(depth, "depth", self._on_wrong_stream)
            self._subscriptions.append(
                self.lost.subscribe(node, kind, depth, self._receive_depth, qos)
            )

    def reconfigure(self, config: Config) -> None:
        """Take dynamic parameters that changed."""
        self._silence.limit_s = config.runtime.silence_s

    def _receive_image(self, msg: Image | CompressedImage, info: dict[str, Any]) -> None:
        self._silence.heard()
        self._image_check.look(msg)
        self.lost.heard(stamp_to_ns(msg.header.stamp))
        if self.paused or not is_active(self._node):
            return
        received_ns = info.get("received_timestamp") or time.time_ns()
        for image in self._videos.images(msg):
            self._on_image(image, received_ns)

    def _receive_depth(self, msg: Image | CompressedImage) -> None:
        assert self._on_depth is not None
        self._depth_check.look(msg)
        self._on_depth(msg)

    def _on_wrong_stream(self, text: str) -> None:
        self._on_notice("input", text)

    def _on_lost(self, sentence: str) -> None:
        # A recording that is played may lack images for good.
        if not self._offline:
            self._on_notice(LOST, sentence)
