"""The configured depth source as a function of one keyframe, for measuring it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.build import build_depth_source
from e2e_slam_ros.depth.network import NetworkDepth


@dataclass(frozen=True, eq=False)
class Guess:
    """What a depth source says about one keyframe, before anything is gated.

    Attributes:
        depth: (1, 1, H, W) metres at the keyframe's size; 0 or not finite = no answer.
        log_uncertainty: (1, 1, H, W), as `Prediction.log_uncertainty`; or None.
    """

    depth: torch.Tensor
    log_uncertainty: torch.Tensor | None = None


Predictor = Callable[[Keyframe], Guess]


def build_predictor(config: Config, device: torch.device) -> Predictor:
    """Return what asks the configured source.

    A network's answer is taken for every pixel, whatever its depth or confidence; other sources
    answer as they do in a run.

    Raises:
        ConfigError: the source is the sensor, which is what is compared with.
        DepthError: the network's weights cannot be used.
    """
    if config.depth.source == "sensor":
        raise ConfigError.from_parts(
            "depth.source",
            "'sensor'",
            "a source that the sensor's depth can be compared with",
            "give --set depth.source=network or --set depth.source=motion_stereo",
        )
    source = build_depth_source(config, device)
    if isinstance(source, NetworkDepth):
        return _NetworkPredictor(source)
    return lambda keyframe: Guess(source.estimate(keyframe).depth)


class _NetworkPredictor:
    """Depth as the product predicts it, and what the network says about its own error."""

    def __init__(self, source: NetworkDepth) -> None:
        self._source = source

    @torch.inference_mode()
    def __call__(self, keyframe: Keyframe) -> Guess:
        image = keyframe.image
        intrinsics = keyframe.camera.matrix(image.device, image.dtype)[None]
        answer = self._source.answer(image, intrinsics)
        return Guess(answer.depth, answer.log_uncertainty)
