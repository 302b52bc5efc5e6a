"""Synthetic views for the tests of the refinement, and deliberately poor depth."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.multiview.fill import fill
from e2e_slam_ros.refine.views import RefineViews

CAMERA = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
WALL_M = 2.0


def wall_image(x_m: float) -> torch.Tensor:
    """(1, 3, 48, 64): a patterned wall 2 m in front of a camera at ``x_m`` to the right."""
    v, u = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    x = (u - CAMERA.cx) / CAMERA.fx * WALL_M + x_m
    y = (v - CAMERA.cy) / CAMERA.fy * WALL_M
    waves = [torch.sin(7 * x + 3 * y), torch.sin(11 * x - 6 * y + 1), torch.sin(4 * x + 9 * y + 2)]
    return 0.5 + 0.15 * torch.stack([waves[0] + waves[1], waves[1] + waves[2], waves[2]])[None]


def keyframe(x_m: float = 0.0, index: int = 0) -> Keyframe:
    """A keyframe in front of the wall."""
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = x_m
    truth = torch.full((1, 1, 48, 64), WALL_M)
    decision = KeyframeDecision(True, "test")
    return Keyframe(index, index, index, wall_image(x_m), CAMERA, T, truth, decision)


def views(factor: float = 1.15, **more: object) -> RefineViews:
    """The wall from three places, with depth that is wrong by ``factor``."""
    sources = (keyframe(-0.1, 1), keyframe(0.1, 2))
    depth = torch.full((1, 1, 48, 64), WALL_M * factor)
    return RefineViews(keyframe(), sources, depth, **more)  # type: ignore[arg-type]


def poor_depth(truth: torch.Tensor, seed: int) -> torch.Tensor:
    """Return depth as a poor network would give it: blurred, and stretched unevenly.

    Args:
        truth: (1, 1, H, W) metres, 0 = unknown; at least 32 pixels a side.
        seed: of the distortion, about 20 % over an image.
    """
    generator = torch.Generator().manual_seed(seed)
    has_depth = (truth > 0).float()
    inverse, _ = fill(torch.where(truth > 0, truth, 1.0).reciprocal() * has_depth, has_depth)
    size = (truth.shape[-2], truth.shape[-1])
    small = functional.interpolate(inverse, (size[0] // 16, size[1] // 16), mode="area")
    noise = 0.2 * torch.randn((1, 1, 3, 4), generator=generator)
    stretch = functional.interpolate(noise, size, mode="bicubic", align_corners=True).exp()
    blurred = functional.interpolate(small, size, mode="bicubic", align_corners=False)
    return (blurred.clamp_min(0.1) * stretch).reciprocal()


class TinyNetwork(DepthNetwork):
    """Disparity from one number and a little convolution, with norms also in a shortcut."""

    def __init__(self, depth_m: float = 2.3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4)
        )
        self.shortcut = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5)
        )
        self.disparity = torch.nn.Conv2d(4, 1, 1)
        self.log_uncertainty = torch.nn.Conv2d(4, 1, 1)
        torch.nn.init.normal_(self.disparity.weight, std=1e-3)
        torch.nn.init.constant_(self.disparity.bias, 1.0 / depth_m)  # type: ignore[arg-type]

    def predict(self, image: torch.Tensor) -> Prediction:
        features = self.encoder(image) + self.shortcut(image)
        return Prediction(self.disparity(features).clamp_min(1e-3), None)
