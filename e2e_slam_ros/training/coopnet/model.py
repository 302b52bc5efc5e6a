"""CoopNet's networks with their losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from e2e_slam_ros.depth.shipped import SHIPPED, load_shipped
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.sampling import inside, sample_bilinear
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.losses.photometric import PhotometricWeights, photometric_error
from e2e_slam_ros.losses.smoothness import smoothness
from e2e_slam_ros.multiview.deepv2d.objective import motion_loss
from e2e_slam_ros.training.coopnet.config import CoopNetConfig
from e2e_slam_ros.training.coopnet.epipolar import epipolar_loss
from e2e_slam_ros.training.coopnet.networks import (
    CoopDepthNet,
    CoopFlowNet,
    FlowMotionNet,
    PackageDepth,
    SearchedFlow,
)
from e2e_slam_ros.training.coopnet.selection import (
    PixelSelection,
    select_by_sign,
    select_near_mode,
)
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.objectives.terms import LossTerms, weighted_terms
from e2e_slam_ros.training.precision import Precision
from e2e_slam_ros.training.sc_sfm.pose_net import PoseNet


@dataclass(frozen=True, eq=False)
class CoopErrors:
    """Photometric errors of a pair of views, explained twice.

    Attributes:
        depth: (B, 1, H, W), Phi_D: by depth and motion.
        flow: (B, 1, H, W), Phi_F: by flow.
        valid: (B, 1, H, W) bool, both see the pixel.

    >>> one = torch.ones(1, 1, 2, 2)
    >>> CoopErrors(0.3 * one, 0.1 * one, one > 0).delta.max()
    tensor(0.2000)
    """

    depth: torch.Tensor
    flow: torch.Tensor
    valid: torch.Tensor

    @property
    def delta(self) -> torch.Tensor:
        """Delta = Phi_D - Phi_F, without gradient."""
        return (self.depth - self.flow).detach()


class CoopNetModel(nn.Module):
    """Depth, motion and flow networks, and what they learn from a pair of views.

    >>> model = CoopNetModel(CoopNetConfig(), Precision("cpu", None))
    >>> image, one = torch.rand(1, 2, 3, 64, 64), torch.full((1, 2, 1, 64, 64), 2.0)
    >>> k = torch.tensor([[[60.0, 0.0, 31.5], [0.0, 60.0, 31.5], [0.0, 0.0, 1.0]]])
    >>> poses = torch.eye(4).expand(1, 2, 4, 4)
    >>> clip = ClipBatch(image, one, k, poses, one < 0, torch.zeros(1, 2, 6))
    >>> [bool(torch.isfinite(model(clip, stage).total)) for stage in ("labelled", "together")]
    [True, True]
    """

    def __init__(self, config: CoopNetConfig, precision: Precision) -> None:
        super().__init__()
        package = config.depth_network == "package"
        self.depth_net = PackageDepth(load_shipped(SHIPPED[0])) if package else CoopDepthNet()
        self.flow_net = SearchedFlow() if config.flow_network == "search" else CoopFlowNet()
        self.motion_net = PoseNet("small") if config.motion_from == "images" else FlowMotionNet()
        self._config, self._precision = config, precision

    def forward(self, clip: ClipBatch, stage: str) -> LossTerms:
        """Return the loss of frame 0 as the target and frame 1 as the source.

        Args:
            clip: at least two frames.
            stage: "together": CoopNet, no labels are used. "labelled": true depth, motion and
                flow, a beginning that is ours, so that little time together shows something.
        """
        target, source = clip.image[:, 0], clip.image[:, 1]
        depth, flow, T_source_target = self.predict(clip)
        if stage == "labelled":
            return self._labelled_loss(clip, depth, flow, T_source_target)
        errors = _errors(target, source, depth, flow, T_source_target, clip.intrinsics)
        chosen = self.selection(errors)
        parts = {
            "photometric_depth": self._mean_error(errors.depth, chosen.depth, errors.valid),
            "photometric_flow": self._mean_error(errors.flow, chosen.flow, errors.valid),
            "smoothness": smoothness(depth.reciprocal(), target) + _flow_smoothness(flow, target),
            "epipolar": epipolar_loss(flow, T_source_target, clip.intrinsics, chosen.depth),
            "share_depth": chosen.depth.float().mean(),
            "delta": _mean(errors.delta, errors.valid),
        }
        weights = {
            "photometric_depth": 1.0,
            "photometric_flow": 1.0,
            "smoothness": self._config.smoothness,
            "epipolar": self._config.epipolar,
        }
        return weighted_terms(parts, weights, len(clip))

    def predict(self, clip: ClipBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return depth of the target (B, 1, H, W), flow (B, 2, H, W) and T_source_target."""
        target, source, intrinsics = clip.image[:, 0], clip.image[:, 1], clip.intrinsics
        with self._precision.autocast():
            depth = self.depth_net(target, intrinsics)
            flow = self.flow_net(target, source)
            if self._config.motion_from == "images":
                return depth, flow, self.motion_net(target, source)
        if self._config.motion_from == "given":
            # The map is the keyframe, frame 0: the source's pose is the motion itself.
            return depth, flow, clip.T_camera_map[:, 1]
        # Geometry is calculated in full precision.
        return depth, flow, self.motion_net(flow, depth, intrinsics)

    def _mean_error(
        self, error: torch.Tensor, chosen: torch.Tensor, valid: torch.Tensor
    ) -> torch.Tensor:
        """Return the sum over the chosen pixels, divided as `CoopNetConfig.mean_over` says."""
        over = valid if self._config.mean_over == "valid" else chosen
        return (error * chosen).sum() / over.sum().clamp_min(1)

    def _labelled_loss(
        self,
        clip: ClipBatch,
        depth: torch.Tensor,
        flow: torch.Tensor,
        T_source_target: torch.Tensor,
    ) -> LossTerms:
        """Return errors of log depth, of motion in pixels, and of flow.

        The flow of what moves is not known: there flow learns from the pictures, as everywhere.
        """
        target, source = clip.image[:, 0], clip.image[:, 1]
        truth, k = clip.depth[:, 0], clip.intrinsics
        # The map is the keyframe, frame 0: the source's pose is the motion itself.
        true_motion = clip.T_camera_map[:, 1]
        true_flow, seen = still_flow(clip)
        errors = _errors(target, source, truth, flow, true_motion, k)
        start = torch.eye(4, dtype=truth.dtype, device=truth.device).expand(len(truth), 1, 4, 4)
        found, real = (
            torch.cat([start, T[:, None]], dim=1) for T in (T_source_target, true_motion)
        )
        parts = {
            "depth_error": (depth.log() - truth.log()).abs().mean(),
            "motion_error": motion_loss(found, real, truth, k),
            "flow_error": _mean((flow - true_flow).abs().sum(1, keepdim=True), seen),
            "photometric_flow": _mean(errors.flow, errors.valid),
            "smoothness": _flow_smoothness(flow, target),
        }
        weights = {
            "depth_error": 1.0,
            "motion_error": 0.1,
            "flow_error": 0.1,
            "photometric_flow": 1.0,
            "smoothness": self._config.smoothness,
        }
        return weighted_terms(parts, weights, len(clip))

    def selection(self, errors: CoopErrors) -> PixelSelection:
        """Return the pixels that teach depth, and those that teach flow."""
        if self._config.selection == "min":
            return select_by_sign(errors.delta, errors.valid)
        return select_near_mode(errors.delta, errors.valid, self._config.eta)


def _errors(
    target: torch.Tensor,
    source: torch.Tensor,
    depth: torch.Tensor,
    flow: torch.Tensor,
    T_source_target: torch.Tensor,
    intrinsics: torch.Tensor,
) -> CoopErrors:
    weights = PhotometricWeights()
    rigid = inverse_warp(source, depth, T_source_target, intrinsics, intrinsics)
    height, width = target.shape[-2:]
    uv = pixel_grid(height, width, flow.device, flow.dtype) + flow
    seen = inside(uv, height, width)
    moved = sample_bilinear(source, torch.where(seen, uv, torch.zeros_like(uv)))
    return CoopErrors(
        photometric_error(target, rigid.image, weights),
        photometric_error(target, torch.where(seen, moved, torch.zeros_like(moved)), weights),
        rigid.valid & seen,
    )


def still_flow(clip: ClipBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the true flow (B, 2, H, W) of frame 0 to frame 1, pixels, and where it is known.

    It is known where nothing moves and both frames see the pixel: (B, 1, H, W) bool.
    """
    truth, k = clip.depth[:, 0], clip.intrinsics
    warp = inverse_warp(clip.image[:, 1], truth, clip.T_camera_map[:, 1], k, k)
    height, width = truth.shape[-2:]
    flow = warp.uv - pixel_grid(height, width, truth.device, truth.dtype)
    return flow, warp.valid & ~clip.moving[:, 0]


def _mean(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return the mean over the counted pixels; 0 with gradients 0 of none."""
    return (values * counted).sum() / counted.sum().clamp_min(1)


def _flow_smoothness(flow: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    total = flow.new_zeros(())
    size = torch.tensor([flow.shape[-1], flow.shape[-2]], device=flow.device).view(2, 1, 1)
    relative = 10.0 * flow / size
    for axis in (2, 3):
        edges = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (relative.diff(dim=axis).abs() * torch.exp(-10.0 * edges)).mean()
    return total
