"""What the learned correction sees of a keyframe: the evidence of its sweep, as images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.multiview.local_sweep import LocalSweep
from e2e_slam_ros.refine.motion_evidence import MotionEvidence, resized, size_of
from e2e_slam_ros.refine.motion_sweep import MotionSweep
from e2e_slam_ros.refine.preferred_planes import agreement_at

# Distances from the depth so far, natural logarithm, at which the sweep's agreement is shown.
_OFFSETS = (-0.4, -0.18, -0.08, -0.03, 0.0, 0.03, 0.08, 0.18, 0.4)
# Channels of the sweep's size, and of twice that: the latter show nine steps of the fine sweep.
COARSE, FINE = 26, 13
_STEPS = 9
# The network has seen sweeps of 160 pixels. A much smaller one looks different.
_LEAST_WIDTH = 96
# A ratio of depths is shown up to a factor of 2.7.
_MOST = 1.0
# Weight of another keyframe's depth that motion does not support.
_UNSUPPORTED = 1e-3
_LEAST_PARALLAX = 1e-3
# Relative standard deviation of a network that says nothing of its own.
_UNSAID = 0.08


@dataclass(frozen=True, eq=False)
class CorrectionFeatures:
    """A keyframe's evidence as images. All ratios of depths are logarithms.

    Attributes:
        coarse: (1, 26, h, w), at the size of the sweep: planes and depth so far, over the
            network's depth; their evidence; the images' agreement around the depth so far; the
            network's depth and deviation; parallax; other keyframes' depth; the picture.
        fine: (1, 13, 2h, 2w): the picture, the change by the fine sweep, and the images'
            agreement at each of its nine steps.

    Example:
        >>> features = CorrectionFeatures(torch.zeros(1, 26, 6, 8), torch.zeros(1, 13, 12, 16))
        >>> features.fine.shape[-1] // features.coarse.shape[-1]
        2
    """

    coarse: torch.Tensor
    fine: torch.Tensor


@torch.no_grad()
def correction_features(
    sweep: MotionSweep,
    evidence: MotionEvidence,
    network: torch.Tensor,
    stated: torch.Tensor | None,
    depth: torch.Tensor,
    local: LocalSweep,
) -> CorrectionFeatures:
    """Return the features of a keyframe.

    Args:
        sweep: over its neighbours.
        evidence: of the planes that `MotionSweep.given` chose.
        network: (1, 1, H, W) metres, with the keyframe's scale; 0 = unknown.
        stated: (1, 1, H, W), the relative standard deviation that the network states; or None.
        depth: (1, 1, H, W) metres > 0, corrected so far.
        local: the fine sweep that gave ``depth``.
    """
    coarse = _coarse(sweep, evidence, network, stated, depth)
    height, width = size_of(coarse)
    size = (2 * height, 2 * width)
    picture = functional.interpolate(
        sweep.target.image, size, mode="bilinear", align_corners=False, antialias=True
    )
    change = resized(local.change[None, None], size)
    steps = resized(local.correlation[None], size)
    return CorrectionFeatures(coarse, torch.cat([picture, 10.0 * change, steps], 1))


def fits(evidence: MotionEvidence, local: LocalSweep) -> bool:
    """Return whether the sweeps are like those that the network has learned from."""
    return evidence.depth.shape[-1] >= _LEAST_WIDTH and local.correlation.shape[0] == _STEPS


def _coarse(
    sweep: MotionSweep,
    evidence: MotionEvidence,
    network: torch.Tensor,
    stated: torch.Tensor | None,
    depth: torch.Tensor,
) -> torch.Tensor:
    """Return the features of the sweep's size, (1, 26, h, w)."""
    size = size_of(evidence.depth)
    small = evidence.at_size(network)
    answer = resized(depth.reciprocal(), size).reciprocal()
    said = torch.full_like(small, _UNSAID) if stated is None else resized(stated, size)
    offsets = torch.tensor(_OFFSETS, device=answer.device).view(1, -1, 1, 1)
    places = torch.cat([answer * offsets.exp(), evidence.depth, small], 1)
    seen = sweep.volume.views.mean(0)[None, None] / max(len(sweep.sources), 1)
    parallax = (_baseline_m(sweep) / small.median()).clamp_min(_LEAST_PARALLAX)
    chance = torch.zeros_like(small) if evidence.by_chance is None else evidence.by_chance
    parts = [
        _ratio(evidence.depth, small),
        _ratio(answer, small),
        evidence.weight.clamp(0.0, 1.0),
        evidence.beyond_chance.clamp(0.0, 1.0),
        chance,
        agreement_at(sweep.volume, places),
        seen,
        said.clamp_min(1e-3).log(),
        small.log(),
        parallax.log().expand_as(small),
        _seen_again(sweep, small),
        resized(sweep.target.image, size),
    ]
    return torch.cat(parts, 1)


def _ratio(depth: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (depth / other).log().clamp(-_MOST, _MOST)


def _baseline_m(sweep: MotionSweep) -> float:
    """Return the distance of the farthest neighbour's camera."""
    centre = sweep.target.T_map_camera[:3, 3]
    return max(float((other.T_map_camera[:3, 3] - centre).norm()) for other in sweep.sources)


def _seen_again(sweep: MotionSweep, small: torch.Tensor) -> torch.Tensor:
    """Return mean, spread and weight of other keyframes' depth, (1, 3, h, w)."""
    total, first, second = (torch.zeros_like(small) for _ in range(3))
    for labels in sweep.seen_again:
        there = known(labels.depth)
        ratio = _ratio(or_one(labels.depth, there), small)
        weight = (labels.weight + _UNSUPPORTED) * there
        total += weight
        first += weight * ratio
        second += weight * ratio.square()
    share = total.clamp_min(1e-6).reciprocal()
    mean = first * share
    spread = (second * share - mean.square()).clamp_min(0.0).sqrt()
    return torch.cat([mean, spread, total / max(len(sweep.seen_again), 1)], 1)
