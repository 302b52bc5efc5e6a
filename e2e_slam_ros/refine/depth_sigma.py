"""The standard deviation of a keyframe's depth, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.refine.motion_evidence import MotionEvidence, resized, size_of

# Expected error of log depth of a network that says nothing of its own.
_UNSAID = 0.08
# Errors of a network's depth over what it states, before anything is known of them.
_FIRST_FACTOR = 1.75
# Half of a normal error lies within 0.67 standard deviations. Labels lie where there is texture,
# and their planes are drawn to the network's depth: elsewhere errors are a quarter larger.
_FROM_MEDIAN = 1.25 / 0.674
# Weight of the last keyframes against the newest; evidence of a label; fewest labels.
_MEMORY, _LABEL, _FEWEST = 0.8, 0.01, 200
_LOWEST, _HIGHEST = 0.3, 6.0
# Standard deviation of the logarithm of a keyframe's scale that only earlier keyframes tell.
_SCALE = 0.12
# The errors of corrected depth on rooms_000 0-249 (also darkened) and in rendered rooms are close
# to a weighted geometric mean, found by least absolute deviations. The exponents are those of the
# network's stated deviation, of the distance of planes and network, and of motion's own error; the
# last number is the fall from no evidence to much.
_STATED, _APART, _OWN, _EVIDENCE = 0.45, 0.37, 0.30, 0.38
_CONSTANT, _LEAST_APART, _LEAST_OWN, _HALF_EVIDENCE = 0.96, 0.03, 0.01, 0.003


@dataclass(frozen=True)
class SigmaFactor:
    """How much larger a network's errors are than it states: a running, robust mean.

    Attributes:
        logarithm: natural logarithm of the factor.

    Example:
        >>> round(SigmaFactor().value, 2)
        1.75
        >>> round(SigmaFactor().seen(0.5).value, 2)  # half the labels lie within half of it
        1.54
    """

    logarithm: float = math.log(_FIRST_FACTOR)

    @property
    def value(self) -> float:
        """The factor."""
        return math.exp(self.logarithm)

    def seen(self, surprise: float | None) -> SigmaFactor:
        """Return the factor after a keyframe.

        Args:
            surprise: median of the labels' distance from the network's scaled depth, over what it
                states; None: there were no labels.
        """
        if surprise is None:
            return self
        newest = min(max(_FROM_MEDIAN * surprise, _LOWEST), _HIGHEST)
        share = 1.0 - _MEMORY
        return replace(self, logarithm=_MEMORY * self.logarithm + share * math.log(newest))


@dataclass(frozen=True, eq=False)
class NetworkErrors:
    """What is known of the errors of a network's depth.

    Attributes:
        stated: (1, 1, H, W), the relative standard deviation that the network states; None: none.
        factor: by how much more it errs.

    Example:
        >>> NetworkErrors(torch.full((1, 1, 1, 1), 0.1)).sigma(torch.ones(1, 1, 1, 1))
        tensor([[[[0.1750]]]])
    """

    stated: torch.Tensor | None = None
    factor: SigmaFactor = SigmaFactor()

    def sigma(self, depth: torch.Tensor) -> torch.Tensor:
        """Return the relative standard deviation of its shape, (1, 1, H, W) as ``depth``."""
        said = torch.full_like(depth, _UNSAID) if self.stated is None else self.stated
        return self.factor.value * said

    def with_scale(self, depth: torch.Tensor) -> torch.Tensor:
        """Return that of its depth, with the scale that is usual for the last keyframes."""
        shape = self.sigma(depth)
        return torch.hypot(shape, torch.full_like(shape, _SCALE))


@torch.no_grad()
def corrected_sigma(
    metric: torch.Tensor, evidence: MotionEvidence, stated: torch.Tensor | None
) -> tuple[torch.Tensor, float | None]:
    """Return the relative standard deviation of depth that motion has corrected.

    It grows with the network's stated deviation, with the distance between the planes and the
    network's depth, and with motion's own error (errors of the poses over the parallax); it falls
    with the evidence of the images.

    Args:
        metric: (1, 1, H, W) metres, the network's depth before the correction; 0 = unknown.
        evidence: of the planes.
        stated: (1, 1, H, W), what the network states; None: nothing.

    Returns:
        Standard deviation (1, 1, H, W), and the surprise for `SigmaFactor.seen`.
    """
    size, native = size_of(evidence.depth), size_of(metric)
    some = known(metric)
    small = resized(or_one(metric, some).reciprocal(), size).reciprocal()
    if stated is None:
        said = torch.full_like(small, _UNSAID)
    else:
        said = resized(stated, size).clamp_min(1e-3)
    apart = (evidence.depth / small).log().abs()
    beyond = evidence.beyond_chance
    labels = (beyond > _LABEL) & (resized(some.to(small), size) > 0.5)
    surprise = float((apart / said)[labels].median()) if int(labels.sum()) >= _FEWEST else None
    own = max(evidence.own_error, _LEAST_OWN)
    sigma = (
        _CONSTANT
        * said.pow(_STATED)
        * (apart + _LEAST_APART).pow(_APART)
        * own**_OWN
        * (-_EVIDENCE * beyond / (beyond + _HALF_EVIDENCE)).exp()
    )
    return resized(sigma, native), surprise
