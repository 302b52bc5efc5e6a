"""A keyframe as messages: image, depth and cloud."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class KeyframeParts:
    """The messages of a keyframe, all with the same stamp.

    A third of a megabyte for 320x240 pixels; the depth is about as large.
    """

    image: Image
    info: CameraInfo
    pose: PoseStamped
    sensor_depth: Image | None


class KeyframeOutput:
    """Publishes ``keyframe/image``, ``camera_info`` and ``pose`` with one exact stamp.

    Args:
        with_depth: also ``keyframe/sensor_depth``. A keyframe is complete with a depth image only,
            all 0 if nothing was measured.
    """

    def __init__(self, node: Node, config: Config, with_depth: bool = False) -> None:
        self._config = config
        self._sensor_depth = (
            node.create_publisher(Image, "keyframe/sensor_depth", reliable())
            if with_depth
            else None
        )
        self._image = node.create_publisher(Image, "keyframe/image", reliable())
        self._info = node.create_publisher(CameraInfo, "keyframe/camera_info", reliable())
        self._pose = node.create_publisher(PoseStamped, "keyframe/pose", reliable())

    def parts(self, keyframe: Keyframe, frame_id: str) -> KeyframeParts:
        """Return the messages of a keyframe at its working size, without distortion."""
        stamp, frames = ns_to_stamp(keyframe.stamp_ns), self._config.frames
        depth = None
        if self._sensor_depth is not None:
            measured = keyframe.sensor_depth
            known = torch.zeros_like(keyframe.image[:, :1]) if measured is None else measured
            depth = image_message(plane(known), "32FC1", stamp, frame_id)
        return KeyframeParts(
            image_message(rgb8(keyframe.image), "rgb8", stamp, frame_id),
            camera_info_message(keyframe.camera, stamp, frame_id),
            pose_message(keyframe.T_map_camera.numpy(), stamp, frames.map),
            depth,
        )

    def publish(self, parts: KeyframeParts) -> None:
        """Publish a keyframe (any thread)."""
        if self._sensor_depth is not None and parts.sensor_depth is not None:
            self._sensor_depth.publish(parts.sensor_depth)
        self._pose.publish(parts.pose)
        self._info.publish(parts.info)
        self._image.publish(parts.image)


@dataclass(frozen=True, eq=False)
class DepthParts:
    """The messages of a keyframe's depth: metres, and 1 - confidence where it is known."""

    depth: Image
    uncertainty: Image | None


class DepthOutput:
    """Publishes ``keyframe/depth``, and ``keyframe/uncertainty`` if a confidence is known."""

    def __init__(self, node: Node) -> None:
        self._depth = node.create_publisher(Image, "keyframe/depth", reliable())
        self._uncertainty = node.create_publisher(Image, "keyframe/uncertainty", reliable())

    @staticmethod
    def parts(keyframe: Keyframe, estimate: DepthEstimate, frame_id: str) -> DepthParts:
        """Return the messages of a keyframe's depth."""
        stamp, doubt = ns_to_stamp(keyframe.stamp_ns), None
        if estimate.confidence is not None:
            doubt = image_message(plane(1.0 - estimate.confidence), "32FC1", stamp, frame_id)
        return DepthParts(image_message(plane(estimate.depth), "32FC1", stamp, frame_id), doubt)

    def publish(self, parts: DepthParts) -> None:
        """Publish a keyframe's depth, and its uncertainty if the topic has a subscriber."""
        # Uncertainty goes first, because a mapper fuses a keyframe as soon as it has the depth.
        if parts.uncertainty is not None and self._uncertainty.get_subscription_count() > 0:
            self._uncertainty.publish(parts.uncertainty)
        self._depth.publish(parts.depth)


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
