"""DeepV2D as a depth source: metric depth from the images and poses of the last keyframes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.multiview.deepv2d.deepv2d import relative_poses
from e2e_slam_ros.multiview.deepv2d.depth_module import REDUCTION
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.multiview.neighbours import far_enough, no_depth
from e2e_slam_ros.multiview.shipped_weights import chosen_weights

# Weights of the package; there may be none.
SHIPPED = Path(__file__).parent / "weights" / "deepv2d_light.safetensors"


class DeepV2DDepth:
    """The depth module on a keyframe and earlier ones, whose poses are held, and motion stereo.

    Their errors differ: where both answer, the geometric mean is better than either.

    The poses give the metres. The first keyframe, and one whose neighbours did not move, get no
    depth: all pixels are 0.

    Raises:
        DepthError: no weights, weights that cannot be used, or an input size that the network
            does not support.

    >>> DeepV2DDepth.traits.needs_views
    True
    """

    traits = DepthTraits("deepv2d", DepthUnit.METRES, needs_views=True)
    network = None

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        self._config = config.deepv2d
        width, height = self._config.width, self._config.height
        if width % REDUCTION or height % REDUCTION:
            raise DepthError.from_parts(
                "depth.deepv2d.width and height",
                f"{width}x{height}",
                f"multiples of {REDUCTION}",
                "choose e.g. 256x192",
            )
        path = chosen_weights("deepv2d", self._config.checkpoint, SHIPPED)
        self._network = load_deepv2d(path, device)
        swept = self._config.motion_stereo != "off"
        self._stereo = MotionStereoDepth(config, device) if swept else None

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return depth and confidence; both are 0 where nothing is known."""
        settings = self._config
        sources = far_enough(keyframe, views, settings.neighbours, settings.min_baseline_m)
        if not sources:
            return no_depth(keyframe, self.traits.name)
        depth, confidence = self._depth([keyframe, *sources])
        known = confidence >= settings.min_confidence
        if self._stereo is not None:
            swept = self._stereo.estimate(keyframe, views)
            assert swept.confidence is not None
            answered = swept.depth > 0
            both = swept.depth
            if settings.motion_stereo == "mean":
                both = (swept.depth * depth).sqrt()
            depth = torch.where(answered, both, depth)
            confidence = torch.where(answered, swept.confidence, confidence)
            known = known | answered
        return RawDepth(depth * known, confidence * known, self.traits.name, "motion")

    def _depth(self, keyframes: list[Keyframe]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depth in metres and confidence of the first keyframe, at its size."""
        first, size = keyframes[0], (self._config.height, self._config.width)
        images = torch.cat([item.image for item in keyframes])
        native = images.shape[-2:]
        if native != size:
            images = functional.interpolate(
                images, size, mode="bilinear", align_corners=False, antialias=True
            )
        camera = first.camera.resized(size[1], size[0])
        poses = relative_poses(torch.stack([item.T_map_camera for item in keyframes])[None])
        found = self._network.depth_module(
            images[None].clamp(0.0, 1.0), poses.to(images), camera.matrix(images.device)[None]
        )
        # Inverse depth is affine across a plane: resizing it keeps planes.
        both = torch.cat([found.depth.reciprocal(), found.confidence], dim=1)
        if native != size:
            both = functional.interpolate(both, native, mode="bilinear", align_corners=False)
        return both[:, :1].reciprocal(), both[:, 1:]
