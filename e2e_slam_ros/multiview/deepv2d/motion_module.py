"""The motion module: depth and frames to better poses (DeepV2D section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.multiview.deepv2d.architecture import DeepV2DArchitecture
from e2e_slam_ros.multiview.deepv2d.feature_encoder import FeatureEncoder
from e2e_slam_ros.multiview.deepv2d.flow_network import ResidualFlowNetwork
from e2e_slam_ros.multiview.deepv2d.gauss_newton import (
    FlowObservations,
    PoseStep,
    gauss_newton_step,
)


class MotionModule(nn.Module):
    """Flow-SE3: residual flow between features, then one Gauss-Newton step of the poses.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> module, pose = MotionModule(LIGHT), torch.eye(4).expand(1, 2, 4, 4)
    >>> k = torch.tensor([[[10.0, 0.0, 7.5], [0.0, 10.0, 5.5], [0.0, 0.0, 1.0]]])
    >>> features = module.features(torch.rand(1, 2, 3, 48, 64))
    >>> module(features, torch.full((1, 1, 12, 16), 2.0), pose, k, [(0, 1)]).twist.shape
    torch.Size([1, 2, 6])
    """

    def __init__(self, architecture: DeepV2DArchitecture) -> None:
        super().__init__()
        self.encoder = FeatureEncoder(architecture, architecture.motion_features, 0)
        self.flow = ResidualFlowNetwork(architecture.motion_features, architecture.flow)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, N, C, h, w) of images (B, N, 3, H, W); they serve every iteration."""
        flat: torch.Tensor = self.encoder(images.flatten(0, 1)).float()
        return flat.reshape(*images.shape[:2], *flat.shape[1:])

    def forward(
        self,
        features: torch.Tensor,
        depth: torch.Tensor,
        T_camera_map: torch.Tensor,
        intrinsics: torch.Tensor,
        pairs: Sequence[tuple[int, int]],
    ) -> PoseStep:
        """Return the poses after one step.

        Args:
            features: (B, N, C, h, w) of `features`.
            depth: (B, 1, h, w) of the keyframe, or (B, N, h, w) of all frames, metres.
            T_camera_map: (B, N, 4, 4), the paper's G; frame 0 is held.
            intrinsics: (B, 3, 3), of the feature map.
            pairs: see `FlowObservations`.
        """
        observations = self.observe(features, depth, T_camera_map, intrinsics, pairs)
        with torch.autocast(features.device.type, enabled=False):
            return gauss_newton_step(observations, depth, T_camera_map, intrinsics)

    def observe(
        self,
        features: torch.Tensor,
        depth: torch.Tensor,
        T_camera_map: torch.Tensor,
        intrinsics: torch.Tensor,
        pairs: Sequence[tuple[int, int]],
    ) -> FlowObservations:
        """Return the residual flow of each pair; weight 0 where frame j does not see the pixel."""
        batch, count = len(features), len(pairs)
        first = torch.tensor([i for i, _ in pairs], device=depth.device)
        second = torch.tensor([j for _, j in pairs], device=depth.device)
        moved = se3.compose(T_camera_map[:, second], se3.inverse(T_camera_map[:, first]))
        source = first if depth.shape[1] > 1 else torch.zeros_like(first)
        k = intrinsics.repeat_interleave(count, 0)
        warp = inverse_warp(
            features[:, second].flatten(0, 1),
            depth[:, source].flatten(0, 1).unsqueeze(1),
            moved.flatten(0, 1),
            k,
            k,
        )
        residual, weight = self.flow(features[:, first].flatten(0, 1), warp.image)
        residual, weight = residual.float(), weight.float() * warp.valid
        shape = (batch, count, *residual.shape[1:])
        return FlowObservations(pairs, residual.reshape(shape), weight.reshape(shape))
