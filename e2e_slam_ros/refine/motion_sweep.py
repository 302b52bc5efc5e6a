"""A plane sweep over a keyframe's neighbours, and the choice of the cheapest planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.motion_evidence import MotionEvidenceConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.geometry.masks import known, or_one, without_gaps
from e2e_slam_ros.multiview.local_sweep import LocalSweep, local_sweep
from e2e_slam_ros.multiview.plane_choice import choose_planes, inverse_planes, match_cost
from e2e_slam_ros.multiview.plane_sweep import CostVolume, plane_sweep
from e2e_slam_ros.multiview.sweep_view import SweepView, sweep_view
from e2e_slam_ros.refine.motion_evidence import MotionEvidence, chance, resized, size_of
from e2e_slam_ros.refine.preferred_planes import preferred_depth
from e2e_slam_ros.refine.seen_from import seen_from
from e2e_slam_ros.refine.views import SparseLabels

# Relative error of depth from which on a sweep tells no more than a network does.
_WORTHLESS = 0.2
# Errors of tracked poses over what their adjustment states: 1 in a rendered room, 3 to 4 in a
# recorded one, whose lens and shutter are not known exactly.
_SURPRISE = 4.0
# Angle by which given poses misplace a point, radians: a clock or a calibration is never exact.
_GIVEN = 0.0021
# A coarse sweep of a smaller width shows only blur.
_COARSEST = 32


@dataclass(frozen=True, eq=False)
class MotionSweep:
    """A sweep over a keyframe's neighbours, from which planes are chosen.

    Attributes:
        target: the keyframe.
        sources: its neighbours.
        volume: of the sweep.
        cost: (D, h, w) cost of each plane, from images and other keyframes' depth.
        seen_again: other keyframes' depth, projected into this one.
        first: the planes of least cost.
        config: weights.
        pose_error: relative error of depth that errors of the poses cause.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> decision, depth = KeyframeDecision(True, "first"), torch.full((1, 1, 48, 64), 2.3)
        >>> def seen_from(x_m: float) -> Keyframe:  # a patterned wall at 2 m
        ...     x = (torch.arange(64.0) - camera.cx) / camera.fx * 2.0 + x_m
        ...     image = (0.5 + 0.3 * torch.sin(9.0 * x)).expand(1, 3, 48, 64)
        ...     pose = torch.eye(4, dtype=torch.float64)
        ...     pose[0, 3] = x_m
        ...     return Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> others = [seen_from(-0.1), seen_from(0.1)]
        >>> sweep = sweep_neighbours(seen_from(0.0), others, DepthConfig(), MotionEvidenceConfig())
        >>> round(float(sweep.first.depth.median()), 1)
        2.0
    """

    target: Keyframe
    sources: tuple[Keyframe, ...]
    volume: CostVolume
    cost: torch.Tensor
    seen_again: tuple[SparseLabels, ...]
    first: MotionEvidence
    config: MotionEvidenceConfig
    pose_error: float = 0.0

    @torch.no_grad()
    def given(self, network_depth: torch.Tensor) -> MotionEvidence:
        """Choose planes again, with a weak cost for a distance from the network's depth.

        Args:
            network_depth: (1, 1, H, W) metres or the network's units, 0 = unknown.
        """
        if self.config.prior == 0.0:
            return self.first
        prior = self.first.expected(network_depth, self.config.network_share)
        apart = _apart_from(prior[0, 0], self.volume).clamp_max_(self.config.prior_reach)
        share = self.config.prior / self.config.prior_reach
        cost = torch.add(self.cost, apart, alpha=share, out=apart)
        return _chosen(self.volume, cost, self.seen_again, self.config)

    @torch.no_grad()
    def preferred(
        self,
        evidence: MotionEvidence,
        network_depth: torch.Tensor,
        network_sigma: torch.Tensor,
    ) -> MotionEvidence:
        """Return the evidence with the network's depth where the images do not prefer a plane.

        Args:
            evidence: of the planes that `given` chose.
            network_depth: (1, 1, H, W) metres, with the keyframe's scale; 0 = unknown.
            network_sigma: (1, 1, H, W), its relative standard deviation.
        """
        if self.config.preference == 0.0:
            return evidence
        small = evidence.at_size(network_depth)
        sigma = resized(network_sigma, size_of(small))
        margin = self.config.preference
        depth = preferred_depth(self.volume, evidence.depth, small, sigma, margin)
        return replace(evidence, depth=depth)

    @torch.no_grad()
    def sharpened(self, depth: torch.Tensor) -> tuple[torch.Tensor, LocalSweep | None]:
        """Return depth moved to where the images agree best, close to where it was.

        Args:
            depth: (1, 1, H, W) metres, corrected; 0 = unknown.

        Returns:
            The depth, and the fine sweep that found it; None: it is switched off.
        """
        config = self.config
        if config.local_steps == 0:
            return depth, None
        width = min(max(config.local_width, config.width), self.target.camera.width)
        views = [sweep_view(keyframe, width) for keyframe in (self.target, *self.sources)]
        before = resized(without_gaps(depth).reciprocal(), size_of(views[0].image))[0, 0]
        steps = 2 * config.local_steps + 1
        found = local_sweep(views[0], views[1:], before, steps, config.local_reach)
        change = resized(found.change[None, None], size_of(depth))
        return depth * change.exp(), found


@torch.no_grad()
def sweep_neighbours(
    target: Keyframe,
    sources: Sequence[Keyframe],
    depth: DepthConfig,
    config: MotionEvidenceConfig,
    elsewhere: Sequence[MappedKeyframe] = (),
    typical_m: float | None = None,
) -> MotionSweep | None:
    """Return the plane sweep over other views; no ground truth is used.

    Args:
        target: whose depth is wanted.
        sources: other views, before or also after the target; those nearer than
            ``config.min_baseline_m``, or of another camera, are left out.
        depth: range of depth, planes of the sweep.
        config: weights.
        elsewhere: other keyframes whose depth motion supports; it is projected into the target.
        typical_m: the target's median depth, metres; None: the parallax is not checked.

    Returns:
        The sweep; None if the views are too near for the little that their images agree on, or
        for the uncertainty of tracked poses.
    """
    others = _apart(target, sources, config.min_baseline_m)
    if not others:
        return None
    width = min(config.width, target.camera.width)
    views = tuple(sweep_view(keyframe, width) for keyframe in (target, *others))
    volume = _volume(target, others, views, depth, config)
    seen_again = tuple(_seen_again(target, volume, elsewhere))
    cost = match_cost(volume).add_(_cost_of(seen_again, volume, config))
    parallax = max(_distance(target, other) for other in others) / (typical_m or 1.0)
    pose_error = 0.0 if typical_m is None else _pose_error([target, *others]) / parallax
    config = replace(config, own_error=math.hypot(config.own_error, pose_error))
    first = _chosen(volume, cost, seen_again, config)
    if not first.enough:
        return None
    # Where a camera does little else than turn, errors of its poses look like depth. They also
    # make images disagree. Parallax and agreement together tell whether to trust the sweep.
    information = parallax * float(first.weight.mean()) / (1.0 + (pose_error / _WORTHLESS) ** 2)
    if typical_m is not None and information < config.min_information:
        return None
    return MotionSweep(target, tuple(others), volume, cost, seen_again, first, config, pose_error)


def _apart(target: Keyframe, sources: Sequence[Keyframe], least_m: float) -> list[Keyframe]:
    return [
        source
        for source in sources
        if source.camera == target.camera and _distance(target, source) >= least_m
    ]


def _pose_error(views: Sequence[Keyframe]) -> float:
    """Return the angle by which poses misplace a point at a usual depth, radians."""
    squares = [_misplaced(view) ** 2 for view in views]
    return math.sqrt(sum(squares) / len(views))


def _misplaced(view: Keyframe) -> float:
    """Return the angle by which a view's pose misplaces a point, radians."""
    return _GIVEN if view.tracked_sigma_rad is None else _SURPRISE * view.tracked_sigma_rad


def _distance(one: Keyframe, other: Keyframe) -> float:
    return float((one.T_map_camera[:3, 3] - other.T_map_camera[:3, 3]).norm())


def _volume(
    target: Keyframe,
    sources: Sequence[Keyframe],
    views: Sequence[SweepView],
    depth: DepthConfig,
    config: MotionEvidenceConfig,
) -> CostVolume:
    """Return the weighted mean of the correlation at full and at a quarter of the width.

    Coarse windows reach across regions in which fine windows see only noise.
    """
    planes = inverse_planes(depth, target.image.device, config.planes)
    fine = plane_sweep(views[0], views[1:], planes)
    width = views[0].camera.width // 4
    if config.coarse == 0.0 or width < _COARSEST:
        return fine
    small = [sweep_view(keyframe, width) for keyframe in (target, *sources)]
    swept = plane_sweep(small[0], small[1:], planes)
    coarse = resized(swept.correlation[None], size_of(fine.correlation))[0]
    mean = (fine.correlation + config.coarse * coarse) / (1.0 + config.coarse)
    return replace(fine, correlation=mean)


def _seen_again(
    target: Keyframe, volume: CostVolume, elsewhere: Sequence[MappedKeyframe]
) -> list[SparseLabels]:
    """Return other keyframes' depth as the target sees it, at the sweep's size."""
    size = size_of(volume.correlation)
    return [
        seen_from(target, other.keyframe, other.estimate.depth, other.motion_weight, size)
        for other in elsewhere
        if other.estimate is not None
        and other.motion_weight is not None
        and other.keyframe.camera == target.camera
    ]


def _cost_of(
    seen_again: Sequence[SparseLabels], volume: CostVolume, config: MotionEvidenceConfig
) -> torch.Tensor:
    """Return (D, h, w), the cost of a distance from other keyframes' depth."""
    cost = torch.zeros_like(volume.correlation)
    apart = torch.empty_like(cost)
    for labels in seen_again:
        there = or_one(labels.depth, known(labels.depth))[0, 0]
        _apart_from(there, volume, apart).clamp_max_(config.earlier_reach)
        share = config.earlier / len(seen_again) / config.earlier_reach
        cost.addcmul_(apart, labels.weight[0, 0] * share)
    return cost


def _apart_from(
    depth: torch.Tensor, volume: CostVolume, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return (D, h, w), the difference of log depth between each plane and a depth (h, w)."""
    planes = volume.inverse_depth.log()[:, None, None]
    return torch.add(planes, depth.log(), out=out).abs_()


def _chosen(
    volume: CostVolume,
    cost: torch.Tensor,
    seen_again: Sequence[SparseLabels],
    config: MotionEvidenceConfig,
) -> MotionEvidence:
    """Return the cheapest planes, weighted by the agreement of images and other keyframes."""
    choice = choose_planes(volume, cost)
    farthest = 0.5 * float(volume.inverse_depth[0])
    depth = choice.inverse_depth.clamp_min(farthest).reciprocal()
    weight = choice.weight
    for labels in seen_again:
        seen = known(labels.depth)[0, 0]
        apart = (depth.log() - or_one(labels.depth[0, 0], seen).log()).abs()
        near = (1.0 - apart / config.earlier_reach).clamp_min(0.0)
        weight = weight + config.earlier / len(seen_again) * labels.weight[0, 0] * seen * near
    by_chance = chance(choice.weight.sqrt())[None, None]
    return MotionEvidence(
        depth[None, None], weight[None, None], config.smoothing, config.own_error, by_chance
    )
