"""Depth predicted from one image by a network."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.architecture import DepthNetwork, check_size, depth_from_disparity
from e2e_slam_ros.depth.checkpoint import load_weights
from e2e_slam_ros.depth.gate import gate_depth, require_depth
from e2e_slam_ros.depth.shipped import load_shipped


class NetworkDepth:
    """Predicts disparity at the network's size and returns depth at the keyframe's.

    Attributes:
        name: "network".
        network: the module, in evaluation mode (normalisation statistics fixed).
        scale_source: what makes its depth metric, as `DepthEstimate` says it.

    Raises:
        DepthError: the weights are missing or cannot be used, or the input size is not one the
            network takes.
    """

    name: str = "network"

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        settings = config.network
        check_size(settings.width, settings.height)
        self.network: DepthNetwork = (
            load_weights(settings.checkpoint, settings.architecture, device)
            if settings.checkpoint
            else load_shipped(settings.architecture, device)
        )
        learned = self.network.metric
        self.scale_source = "network (learned metric scale)" if learned else "fixed factor"
        self._config = config

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe) -> DepthEstimate:
        """Return the predicted depth in metres; 0 outside the configured range.

        Raises:
            DepthError: no pixel is predicted within ``depth.min_m``..``depth.max_m``.
        """
        image = keyframe.image
        intrinsics = keyframe.camera.matrix(image.device).unsqueeze(0)
        depth = gate_depth(self.predict(image, intrinsics), self._config)
        require_depth(depth, self._config, keyframe)
        return DepthEstimate(
            depth, confidence=None, source=self.name, scale_source=self.scale_source
        )

    def predict(self, image: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return ``scale`` times the network's depth, ungated; can be differentiated.

        Args:
            image: (B, 3, H, W) float32 in [0, 1], RGB, any size, on the network's device.
            intrinsics: (B, 3, 3), of ``image`` as it is given.

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
        depth = depth_from_disparity(
            disparity, intrinsics, focal_normalised=self.network.focal_normalised
        )
        return settings.scale * depth

    def reset(self) -> None:
        """Nothing to forget: every keyframe stands alone."""
