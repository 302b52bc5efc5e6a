"""Depth measured by a sensor (RGB-D camera)."""

from __future__ import annotations

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.config.tracking import AdjustmentConfig
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.geometry.masks import known, or_one


class SensorDepth:
    """Depth source that returns the keyframe's own depth image.

    Args:
        config: the range of depth.
        noise: the standard deviation of measured depth, as the tracker's adjustment has it.

    >>> SensorDepth(DepthConfig()).traits.needs_sensor
    True
    """

    traits = DepthTraits("sensor", DepthUnit.METRES, needs_sensor=True)
    network = None

    def __init__(self, config: DepthConfig, noise: AdjustmentConfig | None = None) -> None:
        self._config, self._noise = config, noise or AdjustmentConfig()

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return the keyframe's aligned sensor depth in metres.

        Raises:
            DepthError: the keyframe has no depth image, or one of another size.
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
        depth = depth.float()
        noise = self._noise
        sigma = noise.sensor_sigma + noise.sensor_sigma_m / or_one(depth, known(depth))
        return RawDepth(depth, None, self.traits.name, "sensor", sigma)
