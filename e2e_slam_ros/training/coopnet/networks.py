"""Networks of depth, flow and motion that learn on one core."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
from e2e_slam_ros.multiview.deepv2d.blocks import Residual, conv
from e2e_slam_ros.multiview.deepv2d.feature_encoder import FeatureEncoder
from e2e_slam_ros.multiview.deepv2d.flow_network import ResidualFlowNetwork

_CHANNELS = (16, 32, 48, 64, 96)
_NEAR, _FAR = 0.3, 10.0
_MEAN, _DEVIATION = 0.45, 0.225
# The motion network looks at every fourth pixel. Its inputs are about 1, and a fresh one says
# centimetres and tenths of degrees.
_STRIDE = 4
_FLOW_UNIT, _STEP = 0.05, 0.01
_MOTION_CHANNELS = (32, 64, 64, 64)


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


class MetricDepth(nn.Module):
    """A network of the package as CoopNet's depth; its norms keep the statistics they have.

    >>> from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
    >>> image, k = torch.zeros(1, 3, 64, 96), torch.eye(3)[None]
    >>> MetricDepth(LiteDepthNet())(image, k).shape
    torch.Size([1, 1, 64, 96])
    """

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network.requires_grad_(True).eval()

    def train(self, mode: bool = True) -> MetricDepth:
        """Leave the norms in evaluation: batches are small."""
        self.training = mode
        return self

    def forward(self, image: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return depth (B, 1, H, W) in metres of images in [0, 1], RGB, seen with intrinsics."""
        disparity = self.network(image).float()
        return depth_from_disparity(
            disparity, intrinsics, focal_normalised=self.network.focal_normalised
        )


class FlowMotionNet(nn.Module):
    """Flow and depth to the motion of the camera.

    Pictures alone need tens of thousands of steps to say it, and do not know the focal length.
    The twist is the mean over the last feature map.

    >>> flow, depth = torch.zeros(1, 2, 64, 96), torch.ones(1, 1, 64, 96)
    >>> FlowMotionNet()(flow, depth, torch.eye(3)[None]).shape
    torch.Size([1, 4, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        coming = 5
        for channels in _MOTION_CHANNELS:
            layers += [conv(2, coming, channels, stride=2 if layers else 1), nn.ReLU()]
            coming = channels
        self.layers = nn.Sequential(*layers)
        self.twist = nn.Conv2d(coming, 6, 1)

    def forward(
        self, flow: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor
    ) -> torch.Tensor:
        """Return T_source_target (B, 4, 4). No gradient flows to flow and depth.

        Args:
            flow: (B, 2, H, W), pixels, of the target to the source.
            depth: (B, 1, H, W), of the target.
            intrinsics: (B, 3, 3).
        """
        height, width = flow.shape[-2:]
        focal = intrinsics[:, [0, 1], [0, 1]][:, :, None, None]
        centre = intrinsics[:, :2, 2][:, :, None, None]
        ray = (pixel_grid(height, width, flow.device, flow.dtype) - centre) / focal
        seen = torch.cat([flow / (_FLOW_UNIT * focal), ray, depth.reciprocal()], dim=1).detach()
        x = self.layers(functional.avg_pool2d(seen, _STRIDE))
        return se3.exp(_STEP * self.twist(x).float().mean((2, 3)))
