"""Keyframes that arrive from another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import message_filters
import torch
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.conversions import camera_from_info, depth_to_metres, image_to_rgb
from e2e_slam_ros.nodes.pose_messages import pose_to_matrix
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.slam.preprocess import clean_depth, to_tensor

# Messages that wait for this node. Keyframes come a few times a second.
_QUEUE = 20
# The synchronizer drops the oldest stamp, so there must be a place for an incomplete set of every
# keyframe that keyframe_node may send again, and for those that come meanwhile.
_MORE_SETS = 10


@dataclass(frozen=True, eq=False)
class KeyframeMessages:
    """The messages of one keyframe, all with the same stamp."""

    image: Image
    info: CameraInfo
    pose: PoseStamped
    depth: Image | None

    @property
    def stamp_ns(self) -> int:
        """Image time of the keyframe, nanoseconds."""
        return stamp_to_ns(self.image.header.stamp)

    @property
    def frame_id(self) -> str:
        """TF frame of the camera."""
        return str(self.image.header.frame_id)


class KeyframeInput:
    """Collects ``keyframe/image``, ``camera_info``, ``pose`` and one depth topic by exact stamp.

    `message_filters` fits here. One publisher gives all messages the same stamp, and an incomplete
    set is useless.

    Args:
        depth_topic: ``keyframe/depth``, ``keyframe/sensor_depth`` or None.
        receive: called with each complete set in the executor thread; must not block.
        kept: keyframes that may come again (``runtime.kept_keyframes``).
    """

    def __init__(
        self,
        node: Node,
        depth_topic: str | None,
        receive: Callable[[KeyframeMessages], None],
        kept: int,
    ) -> None:
        self._node = node
        self._receive = receive
        topics = [
            (Image, "keyframe/image"),
            (CameraInfo, "keyframe/camera_info"),
            (PoseStamped, "keyframe/pose"),
        ]
        if depth_topic is not None:
            topics.append((Image, depth_topic))
        self._filters = [
            message_filters.Subscriber(node, kind, topic, qos_profile=reliable(_QUEUE))
            for kind, topic in topics
        ]
        self._synchronizer = message_filters.TimeSynchronizer(self._filters, kept + _MORE_SETS)
        self._synchronizer.registerCallback(self._complete)

    def _complete(
        self, image: Image, info: CameraInfo, pose: PoseStamped, depth: Image | None = None
    ) -> None:
        if is_active(self._node):
            self._receive(KeyframeMessages(image, info, pose, depth))


def keyframe_of(messages: KeyframeMessages, index: int, device: torch.device) -> Keyframe:
    """Return the keyframe of a set of messages.

    Raises:
        E2ESlamError: an encoding, a camera or a pose that cannot be used, or a depth image of
            another size than the image.
    """
    return Keyframe(
        index=index,
        frame_index=index,
        stamp_ns=messages.stamp_ns,
        image=to_tensor(image_to_rgb(messages.image), device),
        camera=camera_from_info(messages.info),
        T_map_camera=torch.from_numpy(pose_to_matrix(messages.pose.pose)),
        sensor_depth=None if messages.depth is None else depth_tensor(messages, device),
        decision=KeyframeDecision(True, "received"),
    )


def confidence_tensor(doubt: Image, image: Image, device: torch.device) -> torch.Tensor:
    """Return ``keyframe/uncertainty`` as (1, 1, H, W) confidence in [0, 1]. NaN becomes 0.

    Raises:
        E2ESlamError: another encoding than 32FC1, or another size than the keyframe's.
    """
    if doubt.encoding != "32FC1" or (doubt.width, doubt.height) != (image.width, image.height):
        raise DepthError.from_parts(
            "keyframe uncertainty",
            f"{doubt.encoding} {doubt.width}x{doubt.height}",
            f"32FC1 {image.width}x{image.height}, the keyframe's size",
            "run nodes of the same version",
        )
    values = torch.tensor(depth_to_metres(doubt), device=device)[None, None]
    return (1.0 - values.nan_to_num(1.0, 1.0, 0.0)).clamp(0.0, 1.0)


def depth_tensor(messages: KeyframeMessages, device: torch.device) -> torch.Tensor:
    """Return the depth message as (1, 1, H, W) metres.

    Raises:
        DepthError: another size than the image.
    """
    msg, image = messages.depth, messages.image
    if msg is None or (msg.width, msg.height) != (image.width, image.height):
        raise DepthError.from_parts(
            "keyframe depth",
            "none" if msg is None else f"{msg.width}x{msg.height}",
            f"{image.width}x{image.height}, the keyframe's size",
            "run nodes of the same version",
        )
    return clean_depth(torch.tensor(depth_to_metres(msg), device=device)[None, None])
