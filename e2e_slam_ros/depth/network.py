"""Depth from one image by a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig, NetworkConfig
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.architecture import DepthNetwork, check_size, depth_from_disparity
from e2e_slam_ros.depth.checkpoint import load_weights
from e2e_slam_ros.depth.foreign import FOREIGN
from e2e_slam_ros.depth.gate import require_prediction
from e2e_slam_ros.depth.shipped import load_shipped
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit

# A pixel has full confidence up to this error of log depth.
_SURE = 0.05
# Rows and columns of the features that go with a keyframe's depth.
_CELLS = (4, 5)


@dataclass(frozen=True, eq=False)
class NetworkAnswer:
    """Prediction of the network for an image.

    Attributes:
        depth: (B, 1, H, W) float32, z in the network's unit.
        log_uncertainty: (B, 1, H, W), see `Prediction`; or None.
        features: (B, C, h, w), see `Prediction`; or None.

    >>> NetworkAnswer(torch.ones(1, 1, 4, 4), None).depth.shape
    torch.Size([1, 1, 4, 4])
    """

    depth: torch.Tensor
    log_uncertainty: torch.Tensor | None
    features: torch.Tensor | None = None


class NetworkDepth:
    """Depth source that predicts with a network and returns depth at the keyframe's size.

    Attributes:
        traits: see `DepthTraits`; the unit is that of the network.
        network: the module, in evaluation mode (normalisation statistics fixed).

    Raises:
        ConfigError: a network of other authors that needs another setting, or a library.
        DepthError: the weights are missing or unusable, or the network does not support the
            configured input size.

    >>> source = NetworkDepth(DepthConfig(), torch.device("cpu"))  # weights of the package
    >>> k = torch.tensor([[[60.0, 0.0, 31.5], [0.0, 60.0, 31.5], [0.0, 0.0, 1.0]]])
    >>> with torch.inference_mode():
    ...     source.predict(torch.full((1, 3, 64, 64), 0.5), k).shape
    torch.Size([1, 1, 64, 64])
    """

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        self.network: DepthNetwork = _load(config.network, device)
        # CPUs and tensor cores compute convolutions in this layout. It is up to a third faster.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learned = self.network.metric
        shifted = self.network.shifted
        unit = DepthUnit.ROUGH_METRES if learned else DepthUnit.UNKNOWN
        self.traits = DepthTraits("network", unit, has_network=True, shifted=shifted)
        unknown = "factor and shift" if shifted else "factor"
        self._unit = f"network ({'learned metric scale' if learned else f'unknown {unknown}'})"
        self._config = config

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return the predicted depth in the network's unit.

        Raises:
            DepthError: the prediction is not finite, or a foreign network's is constant.
        """
        image = keyframe.image
        intrinsics = keyframe.camera.matrix(image.device).unsqueeze(0)
        answer = self.answer(image, intrinsics)
        require_prediction(answer.depth, keyframe, varied=self.network.foreign)
        confidence = None
        if self._config.network.confidence and answer.log_uncertainty is not None:
            confidence = confidence_of(answer.log_uncertainty)
        sigma = None if answer.log_uncertainty is None else answer.log_uncertainty.exp()
        return RawDepth(
            answer.depth, confidence, self.traits.name, self._unit, sigma, self._features(answer)
        )

    def _features(self, answer: NetworkAnswer) -> torch.Tensor | None:
        """Return the features of a metric network's image in a few cells."""
        if not self.network.metric:
            return None
        if answer.features is None:
            return answer.depth.new_ones(1, 1, 1, 1)  # all images look alike
        return functional.adaptive_avg_pool2d(answer.features.float(), _CELLS)

    def predict(self, image: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return only the depth of `answer`, (B, 1, H, W). Gradients flow through it."""
        return self.answer(image, intrinsics).depth

    def answer(self, image: torch.Tensor, intrinsics: torch.Tensor) -> NetworkAnswer:
        """Return the network's depth in its own unit, and its uncertainty.

        Args:
            image: (B, 3, H, W) float32 in [0, 1], RGB, any size, on the network's device.
            intrinsics: (B, 3, 3), for ``image`` in its given size.
        """
        settings = self._config.network
        native = image.shape[-2:]
        small = self.network.fitted(image, (settings.height, settings.width))
        prediction = self.network.predict(small)
        disparity, log_uncertainty = prediction.disparity, prediction.log_uncertainty
        if native != small.shape[-2:]:
            # Resize disparity, not depth: it is affine across a plane, so resizing keeps planes.
            disparity = _resized(disparity, native)
            log_uncertainty = (
                None if log_uncertainty is None else _resized(log_uncertainty, native)
            )
        depth = depth_from_disparity(
            disparity, intrinsics, focal_normalised=self.network.focal_normalised
        )
        return NetworkAnswer(depth, log_uncertainty, prediction.features)


def _load(settings: NetworkConfig, device: torch.device) -> DepthNetwork:
    if settings.architecture in FOREIGN:
        return FOREIGN[settings.architecture](settings, device)
    check_size(settings.width, settings.height)
    if settings.checkpoint:
        return load_weights(settings.checkpoint, settings.architecture, device)
    return load_shipped(settings.architecture, device)


def confidence_of(log_uncertainty: torch.Tensor) -> torch.Tensor:
    """Return weights in (0, 1] from (B, 1, H, W) log uncertainty.

    A weight falls with the square of the expected error of log depth. A mean of independent
    measurements has the smallest error if its weights are the inverse variances.

    >>> confidence_of(torch.log(torch.tensor([0.01, 1.0])))[0]
    tensor(1.)
    """
    return (2.0 * (math.log(_SURE) - log_uncertainty)).exp().clamp_max(1.0)


def _resized(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)
