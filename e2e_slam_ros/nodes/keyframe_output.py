"""A keyframe as messages: image, depth and cloud."""

from __future__ import annotations

import numpy as np
import torch
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.nodes.cloud_messages import cloud_message
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.pose_messages import pose_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp


class KeyframeOutput:
    """Publishes ``keyframe/image``, ``camera_info`` and ``pose`` with one exact stamp."""

    def __init__(self, node: Node, config: Config) -> None:
        self._config = config
        self._image = node.create_publisher(Image, "keyframe/image", reliable())
        self._info = node.create_publisher(CameraInfo, "keyframe/camera_info", reliable())
        self._pose = node.create_publisher(PoseStamped, "keyframe/pose", reliable())

    def publish(self, keyframe: Keyframe, frame_id: str) -> None:
        """Publish a keyframe at its working size, without distortion."""
        stamp, frames = ns_to_stamp(keyframe.stamp_ns), self._config.frames
        self._pose.publish(pose_message(keyframe.T_map_camera.numpy(), stamp, frames.map))
        self._info.publish(camera_info_message(keyframe.camera, stamp, frame_id))
        self._image.publish(image_message(rgb8(keyframe.image), "rgb8", stamp, frame_id))


class DepthOutput:
    """Publishes ``keyframe/depth``, and ``keyframe/uncertainty`` if a confidence is known."""

    def __init__(self, node: Node) -> None:
        self._depth = node.create_publisher(Image, "keyframe/depth", reliable())
        self._uncertainty = node.create_publisher(Image, "keyframe/uncertainty", reliable())

    def publish(self, keyframe: Keyframe, estimate: DepthEstimate, frame_id: str) -> None:
        """Publish a keyframe's depth in metres. Uncertainty is 1 - confidence, in [0, 1]."""
        stamp = ns_to_stamp(keyframe.stamp_ns)
        # Uncertainty goes first, because a mapper fuses a keyframe as soon as it has the depth.
        if estimate.confidence is not None and self._uncertainty.get_subscription_count() > 0:
            doubt = plane(1.0 - estimate.confidence)
            self._uncertainty.publish(image_message(doubt, "32FC1", stamp, frame_id))
        self._depth.publish(image_message(plane(estimate.depth), "32FC1", stamp, frame_id))


class CloudOutput:
    """Publishes ``keyframe/cloud``: the points of one keyframe in the map frame."""

    def __init__(self, node: Node, config: Config) -> None:
        self._config = config
        self._publisher = node.create_publisher(PointCloud2, "keyframe/cloud", reliable())

    @torch.inference_mode()
    def publish(self, keyframe: Keyframe, depth: torch.Tensor) -> None:
        """Publish every valid depth pixel as a coloured point, if the topic has a subscriber."""
        if self._publisher.get_subscription_count() == 0:
            return
        intrinsics = keyframe.camera.matrix(depth.device, depth.dtype)
        local = backproject(depth, intrinsics)[0].reshape(3, -1).T
        valid = torch.isfinite(local).all(1) & (local[:, 2] > 0)
        T_map_camera = keyframe.T_map_camera.to(depth)
        points = local[valid] @ T_map_camera[:3, :3].T + T_map_camera[:3, 3]
        colors = rgb8(keyframe.image).reshape(-1, 3)[valid.cpu().numpy()]
        stamp, frame = ns_to_stamp(keyframe.stamp_ns), self._config.frames.map
        self._publisher.publish(cloud_message(points.cpu().numpy(), colors, stamp, frame))


@torch.inference_mode()
def rgb8(image: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a (1, 3, H, W) image in [0, 1] as (H, W, 3) uint8."""
    bytes_ = (image[0] * 255.0).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(bytes_.permute(1, 2, 0).cpu().numpy())


def plane(values: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a (1, 1, H, W) tensor as (H, W) float32."""
    return values[0, 0].detach().float().cpu().numpy()
