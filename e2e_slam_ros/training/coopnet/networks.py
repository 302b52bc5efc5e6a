"""Networks of depth, flow and motion that learn on one core."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
from e2e_slam_ros.multiview.deepv2d.blocks import Residual, conv
from e2e_slam_ros.multiview.deepv2d.deepv2d import quarter_depth
from e2e_slam_ros.multiview.deepv2d.depth_module import quarter_intrinsics
from e2e_slam_ros.multiview.deepv2d.feature_encoder import FeatureEncoder
from e2e_slam_ros.multiview.deepv2d.flow_network import ResidualFlowNetwork
from e2e_slam_ros.multiview.deepv2d.gauss_newton import FlowObservations, gauss_newton_step

_CHANNELS = (16, 32, 48, 64, 96)
_NEAR, _FAR = 0.3, 10.0
_MEAN, _DEVIATION = 0.45, 0.225
# The motion network looks at every fourth pixel, and its inputs are about 1.
_STRIDE = 4
_FLOW_UNIT = 0.05
_MOTION_CHANNELS = (32, 32, 32)
_MOTION_STEPS = 3


class CoopDepthNet(nn.Module):
    """One image to depth, an encoder-decoder with skip connections.

    Depth lies between 0.3 and 10 units. The sigmoid of the output of ``head`` minus 2 says where
    inverse depth lies between the two ends.

    >>> CoopDepthNet()(torch.zeros(1, 3, 64, 96), torch.eye(3)[None]).shape
    torch.Size([1, 1, 64, 96])
    """

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip((3, *_CHANNELS), _CHANNELS, strict=False))
        self.down = nn.ModuleList(
            nn.Sequential(conv(2, a, b, stride=2), nn.ReLU(), Residual(2, b, b)) for a, b in pairs
        )
        inner = list(zip(_CHANNELS[:-1], _CHANNELS[1:], strict=True))
        self.up = nn.ModuleList(Residual(2, a + b, a) for a, b in reversed(inner))
        self.head = nn.Conv2d(_CHANNELS[0], 1, 3, padding=1)

    def forward(self, image: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return depth (B, 1, H, W) of images (B, 3, H, W) in [0, 1], RGB.

        Args:
            intrinsics: (B, 3, 3); this network does not use them.
        """
        x = (image - _MEAN) / _DEVIATION
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for layer, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = functional.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = layer(torch.cat([skip, x], dim=1))
        size = image.shape[-2:]
        value = functional.interpolate(self.head(x), size, mode="bilinear", align_corners=False)
        inverse = 1.0 / _FAR + (1.0 / _NEAR - 1.0 / _FAR) * (value.float() - 2.0).sigmoid()
        return inverse.reciprocal()


class CoopFlowNet(nn.Module):
    """Two images to the flow of the first one's pixels; at quarter size, then enlarged.

    >>> image = torch.zeros(1, 3, 64, 96)
    >>> CoopFlowNet()(image, image).shape
    torch.Size([1, 2, 64, 96])
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = replace(LIGHT, stem=(16, 32), hourglass=(32,))
        self.encoder = FeatureEncoder(sizes, 32, 0)
        self.flow = ResidualFlowNetwork(32, (32, 48, 64, 96))

    def forward(self, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Return F (B, 2, H, W) in pixels: target pixel p is at p + F(p) in the source."""
        both = self.encoder(torch.cat([target, source]))
        flow, _ = self.flow(*both.chunk(2))
        size = target.shape[-2:]
        large = functional.interpolate(flow, size, mode="bilinear", align_corners=False)
        scale = target.shape[-1] / flow.shape[-1]
        return scale * large.float()


class PackageDepth(nn.Module):
    """A network of the package as CoopNet's depth; its norms keep the statistics they have.

    >>> from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
    >>> image, k = torch.zeros(1, 3, 64, 96), torch.eye(3)[None]
    >>> PackageDepth(LiteDepthNet())(image, k).shape
    torch.Size([1, 1, 64, 96])
    """

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network.requires_grad_(True).eval()

    def train(self, mode: bool = True) -> PackageDepth:
        """Leave the norms in evaluation: batches are small."""
        self.training = mode
        return self

    def forward(self, image: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return depth (B, 1, H, W) in metres of images in [0, 1], RGB, seen with intrinsics."""
        disparity = self.network(image).float()
        return depth_from_disparity(
            disparity, intrinsics, focal_normalised=self.network.focal_normalised
        )


class SearchedFlow(nn.Module):
    """Dense inverse search (Kroeger et al. 2016, by OpenCV) in the place of a flow network.

    It learns nothing, and it leads over depth and motion from the first step on, on what moves
    too. With it the selections of pixels can be compared without weeks of training.

    >>> image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    >>> SearchedFlow()(image, image).abs().max() < 0.1
    tensor(True)
    """

    def forward(self, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Return F (B, 2, H, W) in pixels: target pixel p is at p + F(p) in the source."""
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)
        pairs = zip(_grey(target), _grey(source), strict=True)
        start = np.zeros((*target.shape[-2:], 2), np.float32)
        flow = [torch.from_numpy(search.calc(one, other, start.copy())) for one, other in pairs]
        return torch.stack(flow).permute(0, 3, 1, 2).to(target.device)


def _grey(image: torch.Tensor) -> NDArray[np.uint8]:
    """Return (B, H, W) of images in [0, 1]."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=image.device).view(3, 1, 1)
    grey: NDArray[np.uint8] = (255.0 * (image * weights).sum(1)).clamp(0, 255).byte().cpu().numpy()
    return grey


class FlowMotionNet(nn.Module):
    """Flow and depth to the motion of the camera: weighted Gauss-Newton steps (DeepV2D eq. 4-5).

    What is learnt is how much each pixel counts, from its flow, depth, place and what the motion
    found so far leaves of its flow. A new network counts all alike. Networks that see pictures
    alone need tens of thousands of steps to say a motion, and do not know the focal length.

    >>> flow, depth = torch.zeros(1, 2, 64, 96), torch.ones(1, 1, 64, 96)
    >>> k = torch.tensor([[[60.0, 0.0, 47.5], [0.0, 60.0, 31.5], [0.0, 0.0, 1.0]]])
    >>> FlowMotionNet()(flow, depth, k).shape
    torch.Size([1, 4, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        coming = 7
        for channels in _MOTION_CHANNELS:
            layers += [conv(2, coming, channels), nn.ReLU()]
            coming = channels
        self.layers = nn.Sequential(*layers)
        self.weight = nn.Conv2d(coming, 1, 1)
        nn.init.zeros_(self.weight.weight)

    def forward(
        self, flow: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor
    ) -> torch.Tensor:
        """Return T_source_target (B, 4, 4). No gradient flows to flow and depth.

        Args:
            flow: (B, 2, H, W), pixels, of the target to the source.
            depth: (B, 1, H, W), of the target.
            intrinsics: (B, 3, 3).
        """
        k = quarter_intrinsics(intrinsics).float()
        flow = functional.avg_pool2d(flow.detach().float(), _STRIDE) / _STRIDE
        depth = quarter_depth(depth.detach().float(), flow.shape[-2:])
        height, width = flow.shape[-2:]
        pixel = pixel_grid(height, width, flow.device, flow.dtype)
        focal, centre = k[:, [0, 1], [0, 1]][..., None, None], k[:, :2, 2][..., None, None]
        unit = _FLOW_UNIT * focal
        known = torch.cat([flow / unit, (pixel - centre) / focal, depth.reciprocal()], dim=1)
        start = torch.eye(4, device=flow.device).expand(len(flow), 1, 4, 4)
        T_source_target = start[:, 0]
        for _ in range(_MOTION_STEPS):
            warp = inverse_warp(flow, depth, T_source_target.detach(), k, k)
            residual = flow - (warp.uv - pixel)
            seen = torch.cat([known, residual / unit], dim=1) * warp.valid
            weight = self.weight(self.layers(seen)).float().sigmoid() * warp.valid
            observed = FlowObservations(
                [(0, 1)], residual[:, None], weight[:, None].expand_as(residual[:, None])
            )
            poses = torch.cat([start, T_source_target.detach()[:, None]], dim=1)
            T_source_target = gauss_newton_step(observed, depth, poses, k).T_camera_map[:, 1]
        return T_source_target
