"""The depth module: frames with poses to the keyframe's depth (DeepV2D section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.multiview.deepv2d.architecture import DeepV2DArchitecture
from e2e_slam_ros.multiview.deepv2d.cost_volume import (
    T_source_target_of,
    backprojected,
    group_correlation,
    plane_depths,
)
from e2e_slam_ros.multiview.deepv2d.feature_encoder import FeatureEncoder
from e2e_slam_ros.multiview.deepv2d.matching_network import MatchingNetwork, soft_argmax

# The feature map's size over the image's, and what the encoders can take.
REDUCTION = 4
_LEAST_SIZE = 32
# Planes to each side whose probability counts as agreement with the estimate.
_NEAR_PLANES = 1.5


@dataclass(frozen=True, eq=False)
class DepthPrediction:
    """Depth of the keyframe.

    Attributes:
        depths: (B, 1, H, W) metres, one of each 3-D hourglass; the last one is the result.
        confidence: (B, 1, H, W) in [0, 1], probability of the planes beside the result.

    >>> one = torch.ones(1, 1, 4, 4)
    >>> DepthPrediction([2.0 * one, 3.0 * one], one).depth.unique()
    tensor([3.])
    """

    depths: list[torch.Tensor]
    confidence: torch.Tensor

    @property
    def depth(self) -> torch.Tensor:
        """The result, (B, 1, H, W) metres."""
        return self.depths[-1]


class DepthModule(nn.Module):
    """2-D features, plane-sweep volumes, 3-D matching, soft-argmax.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> module, pose = DepthModule(LIGHT), torch.eye(4).expand(1, 2, 4, 4)
    >>> k = torch.tensor([[[40.0, 0.0, 31.5], [0.0, 40.0, 23.5], [0.0, 0.0, 1.0]]])
    >>> module(torch.zeros(1, 2, 3, 48, 64), pose, k).depth.shape
    torch.Size([1, 1, 48, 64])
    """

    def __init__(self, architecture: DeepV2DArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder = FeatureEncoder(
            architecture, architecture.features, architecture.hourglasses
        )
        self.matching = MatchingNetwork(architecture)

    def forward(
        self, images: torch.Tensor, T_camera_map: torch.Tensor, intrinsics: torch.Tensor
    ) -> DepthPrediction:
        """Return the depth of the first frame.

        Views that do not overlap with it, or did not move, are no error: the network answers
        with what one image tells it.

        Args:
            images: (B, N, 3, H, W) in [0, 1], RGB; the keyframe first, N at least 2.
            T_camera_map: (B, N, 4, 4), the paper's G, metres.
            intrinsics: (B, 3, 3), of the images.

        Raises:
            DepthError: one view, a size that is no multiple of 4 from 32 on, or intrinsics of
                another image size.
        """
        check_clip(images, T_camera_map, intrinsics)
        features = self._features(images)
        small = quarter_intrinsics(intrinsics)
        planes = plane_depths(self.architecture).to(images)
        moves = T_source_target_of(T_camera_map)
        makers = [
            partial(self._volume, features[:, 0], features[:, j + 1], moves[:, j], small, planes)
            for j in range(moves.shape[1])
        ]
        logits = self.matching(makers)
        size = images.shape[-2:]
        depths = [self._depth(each.float(), planes, size) for each in logits]
        return DepthPrediction(depths, self._confidence(logits[-1].float(), size))

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, N, C, h, w); image after image where nothing learns, to save memory."""
        if torch.is_grad_enabled():
            flat: torch.Tensor = self.encoder(images.flatten(0, 1))
            return flat.reshape(*images.shape[:2], *flat.shape[1:])
        return torch.stack([self.encoder(images[:, i]) for i in range(images.shape[1])], dim=1)

    def _volume(
        self,
        keyframe: torch.Tensor,
        source: torch.Tensor,
        T_source_target: torch.Tensor,
        intrinsics: torch.Tensor,
        planes: torch.Tensor,
    ) -> torch.Tensor:
        # Positions and products in full precision, whatever the networks calculate in.
        with torch.autocast(source.device.type, enabled=False):
            source, keyframe = source.float(), keyframe.float()
            volume, inside = backprojected(source, T_source_target, intrinsics, planes)
            if groups := self.architecture.correlation_groups:
                return torch.cat([group_correlation(keyframe, volume, groups), inside], dim=1)
        repeated = keyframe.unsqueeze(2).expand(-1, -1, len(planes), -1, -1)
        return torch.cat([volume, repeated, inside], dim=1)

    def _depth(self, logits: torch.Tensor, planes: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Return the expected depth at full size; of inverse depth for inverse planes."""
        inverse = self.architecture.inverse_planes
        value = soft_argmax(logits, planes.reciprocal() if inverse else planes)
        large = functional.interpolate(value, size, mode="bilinear", align_corners=False)
        return large.reciprocal() if inverse else large

    def _confidence(self, logits: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Return the probability within 1.5 planes of the expected plane."""
        probability = functional.softmax(logits.detach(), dim=1)
        index = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
        at = soft_argmax(logits.detach(), index)
        near = (index[:, None, None] - at).abs() <= _NEAR_PLANES
        sure = (probability * near).sum(1, keepdim=True)
        sure = functional.interpolate(sure, size, mode="bilinear", align_corners=False)
        return sure.clamp(0.0, 1.0)


def quarter_intrinsics(intrinsics: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, 3) intrinsics of the feature map; pixel centres are at integers.

    >>> quarter_intrinsics(torch.tensor([[[40.0, 0, 31.5], [0, 40.0, 23.5], [0, 0, 1]]]))[0, 0]
    tensor([10.0000,  0.0000,  7.5000])
    """
    k = intrinsics.clone()
    k[:, :2] /= REDUCTION
    k[:, :2, 2] += 0.5 / REDUCTION - 0.5
    return k


def check_clip(images: torch.Tensor, T_camera_map: torch.Tensor, intrinsics: torch.Tensor) -> None:
    """Refuse clips that the modules cannot work on.

    Raises:
        DepthError: one view, other numbers of poses, a wrong size, intrinsics of another image.

    >>> pose, k = torch.eye(4).expand(1, 2, 4, 4), torch.eye(3)[None]
    >>> check_clip(torch.zeros(1, 1, 3, 48, 64), pose[:, :1], k)
    Traceback (most recent call last):
        ...
    e2e_slam_ros.config.errors.DepthError: DeepV2D clip: got 1 view, expected at least 2; add ...
    """
    what = "DeepV2D clip"
    views, (height, width) = images.shape[1], images.shape[-2:]
    if views < 2:
        raise DepthError.from_parts(what, f"{views} view", "at least 2", "add a neighbour")
    if T_camera_map.shape[:2] != images.shape[:2]:
        got = f"{tuple(T_camera_map.shape)} poses for {tuple(images.shape)} images"
        raise DepthError.from_parts(what, got, "a pose for each image", "give one pose each")
    if height % REDUCTION or width % REDUCTION or min(height, width) < _LEAST_SIZE:
        raise DepthError.from_parts(
            what,
            f"images of {width}x{height}",
            f"multiples of {REDUCTION}, at least {_LEAST_SIZE}",
            "resize the images and the intrinsics",
        )
    centre, k = intrinsics.detach(), f"{width}x{height}"
    outside = (centre[:, 0, 2] > width - 1) | (centre[:, 1, 2] > height - 1)
    outside |= (centre[:, :2, 2] < 0).any(1) | (centre[:, 0, 0] <= 0) | (centre[:, 1, 1] <= 0)
    if centre.shape[-2:] != (3, 3) or bool(outside.any()):
        got = f"intrinsics with the centre at {centre[0, :2, 2].tolist()}"
        raise DepthError.from_parts(
            what, got, f"a centre inside an image of {k}", "scale the intrinsics with the image"
        )
