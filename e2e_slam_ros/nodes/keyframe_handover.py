"""Keyframes that wait for their depth image before they are handed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from e2e_slam_ros.config import Config, DepthConfig
from e2e_slam_ros.nodes.camera_frame import CameraFrame
from e2e_slam_ros.nodes.depth_input import DepthInput
from e2e_slam_ros.nodes.depth_matcher import DepthMatcher
from e2e_slam_ros.nodes.depth_wait import DepthWait
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.slam.depth_sources import depth_traits, needs_depth_images
from e2e_slam_ros.slam.refusals import NoDepthError


class KeyframeHandover:
    """Hands on each keyframe with its depth, in order, and refuses one without that needs it.

    Not thread-safe. The executor thread owns it.

    Args:
        depths: the depth images that came.
        on_keyframe: takes each keyframe; must not block.
        on_refused: called with the stamp of a keyframe that cannot be handed on, and the error.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        depths: DepthMatcher,
        on_keyframe: Callable[[KeyframeJob], None],
        on_refused: Callable[[int, Exception], None],
    ) -> None:
        self._on_keyframe = on_keyframe
        self._on_refused = on_refused
        topic = node.resolve_topic_name("camera/depth/image_raw")
        awaits_depth = needs_depth_images(config)
        self._needs_depth = depth_traits(config).needs_sensor
        self._depth_input = DepthInput(node, config, topic) if awaits_depth else None
        self._waiting = DepthWait[KeyframeJob](depths, awaits_depth, self._matched)

    def reconfigure(self, config: DepthConfig) -> None:
        """Take dynamic parameters that changed."""
        self._waiting.config = config

    def add(self, frame: CameraFrame, job: KeyframeJob) -> None:
        """Add a keyframe; it is handed on at once if it need not wait."""
        self._waiting.add(frame, job)

    def poll(self) -> None:
        """Hand on the keyframes whose depth has come, or has been waited for long enough."""
        self._waiting.poll()

    def clear(self) -> None:
        """Forget the keyframes that wait."""
        self._waiting.clear()

    def metres(self, msg: Image | CompressedImage, frame: CameraFrame) -> npt.NDArray[np.float32]:
        """Return a depth image as (H, W) metres, registered to the frame; 0 is not measured.

        Raises:
            E2ESlamError: an encoding or a size that cannot be used.
        """
        # Every frame of the assembler has a lens, and depth comes only where it is awaited.
        assert frame.lens is not None and self._depth_input is not None
        return self._depth_input.metres(msg, frame.lens, frame.image_frame)

    def _matched(
        self, frame: CameraFrame, job: KeyframeJob, msg: Image | CompressedImage | None
    ) -> None:
        try:
            self._hand_on(job, msg, frame)
        except Exception as error:
            self._on_refused(frame.stamp_ns, error)

    def _hand_on(
        self, job: KeyframeJob, msg: Image | CompressedImage | None, frame: CameraFrame
    ) -> None:
        if msg is None and self._needs_depth:
            raise NoDepthError.from_parts(
                f"depth image at {job.frame.stamp_ns * 1e-9:.6f} s",
                f"none within {self._waiting.config.sync_tolerance_s} s of the image",
                "registered depth on camera/depth/image_raw",
                "check the stamps and depth.sync_tolerance_s, or set depth.source",
            )
        if msg is not None:
            job = replace(job, frame=replace(job.frame, depth=self.metres(msg, frame)))
        self._on_keyframe(job)
