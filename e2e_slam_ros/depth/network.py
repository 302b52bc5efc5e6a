"""Depth predicted from one image by a network."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.checkpoint import load_weights
from e2e_slam_ros.depth.architecture import check_size
from e2e_slam_ros.depth.gate import gate_depth, require_depth
from e2e_slam_ros.errors import DepthError


class NetworkDepth:
    """Predicts disparity at the network's size and returns depth at the keyframe's.

    Attributes:
        name: "network".
        network: the module, in evaluation mode (normalisation statistics fixed).

    Raises:
        DepthError: no weights are configured, they cannot be used, or the input size is not one
            the network takes.
    """

    name: str = "network"

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        settings = config.network
        check_size(settings.width, settings.height)
        if not settings.checkpoint:
            raise DepthError.from_parts(
                "depth.network.checkpoint",
                "no weights",
                f"the path of {settings.architecture} weights (.safetensors or .pth.tar)",
                "download the NYUv2 ResNet-18 depth model linked under 'Pretrained Models' at "
                "https://github.com/JiawangBian/SC-SfMLearner-Release and set its path, "
                "or use measured depth with depth.source: sensor",
            )
        self.network = load_weights(settings.checkpoint, settings.architecture, device)
        self._config = config

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe) -> DepthEstimate:
        """Return the predicted depth in metres; 0 outside the configured range.

        Raises:
            DepthError: no pixel is predicted within ``depth.min_m``..``depth.max_m``.
        """
        depth = gate_depth(self.predict(keyframe.image), self._config)
        require_depth(depth, self._config, keyframe)
        return DepthEstimate(depth, confidence=None, source=self.name, scale_source="fixed factor")

    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Return ``scale / disparity`` of every pixel, ungated; can be differentiated.

        Args:
            image: (B, 3, H, W) float32 in [0, 1], RGB, any size, on the network's device.

        Returns:
            (B, 1, H, W) float32, z in metres.
        """
        settings = self._config.network
        size = (settings.height, settings.width)
        native = image.shape[-2:]
        small = image
        if native != size:
            small = functional.interpolate(
                image, size, mode="bilinear", align_corners=False, antialias=True
            )
        disparity: torch.Tensor = self.network(small)
        if native != size:
            # Disparity, not depth, is affine across a plane in the image: resizing keeps planes.
            disparity = functional.interpolate(
                disparity, native, mode="bilinear", align_corners=False
            )
        return settings.scale / disparity

    def reset(self) -> None:
        """Nothing to forget: every keyframe stands alone."""
