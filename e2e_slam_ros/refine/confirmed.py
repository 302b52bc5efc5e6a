"""A keyframe's depth, as other keyframes confirm and complement it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config.support import SupportConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.refine.agreed_depth import agreed_change
from e2e_slam_ros.refine.compared_depth import (
    ComparedDepth,
    compared_depth,
    knows_error,
    reduced,
)
from e2e_slam_ros.refine.depth_support import FEWEST, depth_support, unchecked_sigma_factor
from e2e_slam_ros.refine.motion_evidence import resized, size_of


@dataclass(frozen=True, eq=False)
class ConfirmedDepth:
    """A keyframe's depth, as other keyframes judge it.

    Attributes:
        own: the depth itself, for the map and the memory of keyframes: their errors stay their own
            there, and they can go on judging each other. Its confidence is 0 where it must not be
            mapped, but the depth stays: later keyframes may confirm it.
        compared: the depth beside that of others; None: there is no mean.
        sigma: (1, 1, h, w), of the depth before others judged it, as large as ``compared``.

    Example:
        >>> wall = DepthEstimate(torch.ones(1, 1, 2, 2), None, "network", "motion")
        >>> ConfirmedDepth(wall).mean is wall
        True
    """

    own: DepthEstimate
    compared: ComparedDepth | None = None
    sigma: torch.Tensor | None = None

    @property
    def mean(self) -> DepthEstimate:
        """The mean with the depth of the others, with the same confidence; nearer to the truth."""
        if self.compared is None or self.sigma is None:
            return self.own
        change = resized(agreed_change(self.compared, self.sigma), size_of(self.own.depth))
        return replace(self.own, depth=self.own.depth * change.exp())


def confirmed(
    keyframe: Keyframe,
    estimate: DepthEstimate,
    views: KeyframeViews,
    config: SupportConfig,
) -> ConfirmedDepth:
    """Return a keyframe's depth with the confidence that others give it, and the mean with theirs.

    Its standard deviation is smaller where other keyframes agree, and larger where none does.
    Depth that states no standard deviation has no mean, nor has any before motion has supported
    that of another keyframe: it stays as it is.

    Args:
        keyframe: whose depth it is.
        estimate: its depth, not measured by a sensor.
        views: the memory of keyframes.
        config: limits.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, decision = torch.zeros(1, 3, 6, 8), KeyframeDecision(True, "first")
        >>> def seen(index: int, x_m: float) -> Keyframe:
        ...     pose = torch.eye(4, dtype=torch.float64)
        ...     pose[0, 3] = x_m
        ...     return Keyframe(index, index, index, image, camera, pose, None, decision)
        >>> memory = Keyframes(capacity=12)
        >>> for index in range(2):  # two keyframes see a wall at 2 m
        ...     wall = DepthEstimate(torch.full((1, 1, 6, 8), 2.0), None, "network", "motion")
        ...     memory.add(MappedKeyframe(seen(index, 0.1 * index), None, wall))
        >>> near = torch.full((1, 1, 6, 8), 2.0)
        >>> near[..., :3] = 1.5  # the third sees a part of it too near
        >>> third = DepthEstimate(near, None, "network", "motion")
        >>> third = confirmed(seen(2, 0.0), third, memory, SupportConfig()).own
        >>> (third.confidence[0, 0, 3] > 0).tolist()
        [False, False, False, True, True, True, True, True]
    """
    if not config.enabled:
        return ConfirmedDepth(estimate)
    others = views.with_depth(keyframe, config.keyframes)
    compared = None
    # A map has to begin somewhere. The first keyframes are judged when they are looked back at.
    if len(others) >= FEWEST:
        compared = compared_depth(keyframe, estimate.depth, others)
    if compared is None:
        return ConfirmedDepth(_with_sigma(estimate, unchecked_sigma_factor()))
    support = depth_support(compared, config)
    is_last = all(other.keyframe.index < keyframe.index for other in others)
    kept = support.kept(config, is_last)
    confidence = torch.where(kept, support.confidence, torch.zeros_like(support.confidence))
    size = size_of(estimate.depth)
    sure = replace(estimate, confidence=reduced(confidence, size))
    own = _with_sigma(sure, reduced(support.sigma_factor, size))
    if estimate.sigma is None or not any(map(knows_error, others)):
        return ConfirmedDepth(own)
    return ConfirmedDepth(own, compared, reduced(estimate.sigma, size_of(compared.own)))


def _with_sigma(estimate: DepthEstimate, factor: torch.Tensor | float) -> DepthEstimate:
    """Return the estimate with its standard deviation multiplied, if it has one."""
    return estimate if estimate.sigma is None else replace(estimate, sigma=estimate.sigma * factor)
