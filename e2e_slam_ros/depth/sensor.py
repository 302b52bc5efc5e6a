"""Depth measured by a sensor (RGB-D camera)."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.gate import gate_depth, require_depth


class SensorDepth:
    """Takes the depth image that came with the keyframe, within the configured range."""

    name: str = "sensor"

    def __init__(self, config: DepthConfig) -> None:
        self._config = config

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe) -> DepthEstimate:
        """Return the keyframe's aligned sensor depth; 0 outside the range.

        Raises:
            DepthError: the keyframe has no depth image, one of another size, or one without a
                single pixel in range.
        """
        depth = keyframe.sensor_depth
        if depth is None:
            raise DepthError.from_parts(
                f"depth of keyframe {keyframe.index}",
                f"no depth image at stamp {keyframe.stamp_ns} ns",
                "one registered to the colour image, within depth.sync_tolerance_s = "
                f"{self._config.sync_tolerance_s:g} s of it",
                "check the depth topic or files, raise depth.sync_tolerance_s, "
                "or predict depth with depth.source: network",
            )
        expected = (1, 1, *keyframe.image.shape[-2:])
        if tuple(depth.shape) != expected:
            raise DepthError.from_parts(
                f"depth of keyframe {keyframe.index}",
                f"shape {tuple(depth.shape)}",
                f"{expected}, the image's size",
                "register the depth to the colour camera",
            )
        gated = gate_depth(depth.float(), self._config)
        require_depth(gated, self._config, keyframe)
        return DepthEstimate(gated, confidence=None, source=self.name, scale_source="sensor")

    def reset(self) -> None:
        """Nothing to forget: every keyframe stands alone."""
