"""The correction of a metric depth map by known motion, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.refine.depth_sigma import NetworkErrors, corrected_sigma
from e2e_slam_ros.refine.learned_correction.features import correction_features, fits
from e2e_slam_ros.refine.learned_correction.learned_correction import LearnedDepth, LearnedStep
from e2e_slam_ros.refine.motion_sweep import MotionSweep
from e2e_slam_ros.refine.nearer_surfaces import with_nearer_surfaces
from e2e_slam_ros.refine.network_shape import with_network_shape

# Share of a learned change that is believed: it goes too far in rooms that it was not learned in
# (docs/experiments.md).
_BELIEVED = 0.75
# Relative error of depth by poses at which half of that share is believed.
_HALF_BELIEVED = 0.04


@dataclass(frozen=True, eq=False)
class CorrectedDepth:
    """A depth map within the range that is used.

    Attributes:
        depth: (1, 1, H, W) metres, 0 = invalid.
        confidence: (1, 1, H, W) in [0, 1]; None: the source's confidence stays valid.
        motion_weight: (1, 1, H, W) >= 0, support of ``depth`` by known motion; or None.
        sigma: (1, 1, H, W), relative standard deviation of ``depth``; None: motion tells none.
        surprise: see `SigmaFactor.seen`.
        pose_sigma: see `DepthEstimate`.

    Example:
        >>> CorrectedDepth(torch.ones(1, 1, 2, 2)).motion_weight is None
        True
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None = None
    motion_weight: torch.Tensor | None = None
    sigma: torch.Tensor | None = None
    surprise: float | None = None
    pose_sigma: float | None = None


class Correction(Protocol):
    """Corrects metric depth by the sweep over a keyframe's neighbours, and gates it."""

    def correct(
        self,
        metric: torch.Tensor,
        sweep: MotionSweep | None,
        network: NetworkErrors | None = None,
    ) -> CorrectedDepth:
        """Return the corrected depth within range.

        Args:
            metric: (1, 1, H, W) metres of any range, 0 = unknown.
            sweep: over the neighbours; None: they show no parallax.
            network: what is known of the errors of ``metric``; None: nothing.
        """
        ...


@dataclass(frozen=True)
class RangeGate:
    """No correction: depth outside the range becomes 0.

    Example:
        >>> gate = RangeGate(DepthConfig(max_m=8.0))
        >>> gate.correct(torch.tensor([[[[2.0, 9.0]]]]), None).depth
        tensor([[[[2., 0.]]]])
    """

    depth: DepthConfig

    def correct(
        self,
        metric: torch.Tensor,
        sweep: MotionSweep | None,
        network: NetworkErrors | None = None,
    ) -> CorrectedDepth:
        """Return the depth within range."""
        return CorrectedDepth(gate_depth(metric, self.depth))


@dataclass(frozen=True)
class MotionCorrection:
    """Replaces depth by planes that images and other keyframes agree on.

    The depth network's shape fills the pixels between them. A last step has learned from other
    rooms what errors remain.

    Attributes:
        depth: range of depth.
        learned: the last step; None: there is none. It needs the fine sweep with nine steps
            (``refine.motion.local_steps``), and images of 96 pixels' width at least.

    Example:
        >>> correction = MotionCorrection(DepthConfig(max_m=8.0))
        >>> correction.correct(torch.tensor([[[[2.0, 9.0]]]]), sweep=None).depth
        tensor([[[[2., 0.]]]])
    """

    depth: DepthConfig
    learned: LearnedStep | None = None

    def correct(
        self,
        metric: torch.Tensor,
        sweep: MotionSweep | None,
        network: NetworkErrors | None = None,
    ) -> CorrectedDepth:
        """Return the corrected depth within range. Without a sweep the depth is only gated."""
        gated = CorrectedDepth(gate_depth(metric, self.depth))
        if sweep is None:
            return gated
        metric = with_nearer_surfaces(metric, sweep.seen_again)
        evidence = sweep.given(metric)
        network = network or NetworkErrors()
        sigma = network.sigma(metric)
        preferred = sweep.preferred(evidence, metric, sigma)
        depth, confidence = preferred.complete(metric, sigma)
        depth, local = sweep.sharpened(depth)
        sigma, surprise = corrected_sigma(metric, evidence, network.stated)
        of_poses = 0.0  # `corrected_sigma` has counted them
        if self.learned is not None and local is not None and fits(evidence, local):
            features = correction_features(sweep, evidence, metric, network.stated, depth, local)
            depth, stated = _believed(depth, self.learned(features, depth), sweep.pose_error)
            if stated is not None:
                sigma, of_poses = stated, sweep.pose_error
        # Errors of poses are common to all pixels: they say nothing of shapes.
        depth = gate_depth(with_network_shape(depth, sigma, metric), self.depth)
        sigma = torch.hypot(sigma, torch.full_like(sigma, of_poses))
        if not bool((depth > 0).any()):
            return gated
        weight = evidence.weight_at(depth.shape[-2], depth.shape[-1])
        return CorrectedDepth(depth, confidence, weight, sigma, surprise, sweep.pose_error)


def _believed(
    depth: torch.Tensor, learned: LearnedDepth, pose_error: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return depth with the share of a learned change that is believed, and its deviation.

    Where poses are uncertain, what looks like an error of depth may be theirs.
    """
    share = _BELIEVED / (1.0 + (pose_error / _HALF_BELIEVED) ** 2)
    change = (learned.depth / depth).log()
    sigma = learned.sigma
    if sigma is not None:
        # What is not believed of a change may be right.
        sigma = torch.hypot(sigma, (1.0 - share) * change)
    return depth * (share * change).exp(), sigma
