"""The configured depth source as a function of one keyframe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.slam.build_map import kept_keyframes
from e2e_slam_ros.slam.depth_sources import build_depth_source, depth_traits


@dataclass(frozen=True, eq=False)
class PredictedDepth:
    """The depth of one keyframe as its source gives it, not gated.

    Attributes:
        depth: (1, 1, H, W) metres at the keyframe's size; 0 or not finite = unknown.
        log_uncertainty: (1, 1, H, W), as `Prediction.log_uncertainty`; or None.

    >>> PredictedDepth(torch.ones(1, 1, 6, 8)).log_uncertainty is None
    True
    """

    depth: torch.Tensor
    log_uncertainty: torch.Tensor | None = None


Predictor = Callable[[Keyframe], PredictedDepth]


def build_predictor(config: Config, device: torch.device) -> Predictor:
    """Return the function that asks the configured source.

    A network gives depth for every pixel, whatever its range or confidence; other sources give
    the same depth as in a run in which every frame is a keyframe.

    Raises:
        ConfigError: the source is the sensor, and its depth is the truth.
        DepthError: the network's weights cannot be used.
    """
    refuse_sensor(config)
    source = build_depth_source(config, device)
    if isinstance(source, NetworkDepth):
        return partial(_of_network, source)
    return partial(_of_views, source, config, Keyframes(kept_keyframes(config)))


def refuse_sensor(config: Config) -> None:
    """Raise `ConfigError` where the depth source is the sensor, whose depth is the truth."""
    if depth_traits(config).needs_sensor:
        raise ConfigError.from_parts(
            "depth.source",
            repr(config.depth.source),
            "a source that the sensor's depth can be compared with",
            "give --set depth.source=network or --set depth.source=motion_stereo",
        )


@torch.inference_mode()
def _of_network(source: NetworkDepth, keyframe: Keyframe) -> PredictedDepth:
    """Return the depth of a network, and the uncertainty it predicts."""
    image = keyframe.image
    answer = source.answer(image, keyframe.camera.matrix(image.device, image.dtype)[None])
    return PredictedDepth(answer.depth, answer.log_uncertainty)


def _of_views(
    source: DepthSource, config: Config, keyframes: Keyframes, keyframe: Keyframe
) -> PredictedDepth:
    """Return the depth of a source that compares a keyframe with those before it."""
    # The memory counts the keyframes it was given; the recording's frames may have gaps.
    keyframe = replace(keyframe, index=keyframes.next_index)
    try:
        raw = source.estimate(keyframe, keyframes)
    finally:
        keyframes.add(MappedKeyframe(keyframe))
    return PredictedDepth(gate_depth(raw.depth, config.depth))
