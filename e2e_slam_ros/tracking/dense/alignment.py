"""The result of an alignment, and how coarse-to-fine alignments are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import torch

from e2e_slam_ros.config.dense import OdometryConfig
from e2e_slam_ros.tracking.dense.view import DenseView

# Share of the pixels in sight that agree at a right pose. On rooms_000 wrong poses have up to .67,
# right ones .82 and more.
_LEAST_AGREEMENT = 0.7


@dataclass(frozen=True, eq=False)
class DenseAlignment:
    """Poses of B views relative to B reference views.

    Attributes:
        T_reference_camera: (B, 4, 4).
        covariance: (B, 6, 6) of the twist ``[rho, phi]`` in the camera, metres and radians.
        overlap: (B,) share of the usable pixels that both views see and agree in, 0 to 1.
        agreement: (B,) share that agrees among the pixels that both views see.
        pixels: (B,) number of those pixels at the finest level.
        weakest: (B,) information about the direction that the images determine least, without
            unit; 0 for a plane under ICP.
        residual: (B,) scale of the residuals at the end; its unit is the method's.

    Example:
        >>> one, eye = torch.ones(1), torch.eye(4)[None]
        >>> result = DenseAlignment(eye, torch.zeros(1, 6, 6), one, one, 100 * one, 0 * one, one)
        >>> result.succeeded(OdometryConfig()).item()
        False
    """

    T_reference_camera: torch.Tensor
    covariance: torch.Tensor
    overlap: torch.Tensor
    agreement: torch.Tensor
    pixels: torch.Tensor
    weakest: torch.Tensor
    residual: torch.Tensor

    def succeeded(self, limits: OdometryConfig) -> torch.Tensor:
        """Return (B,) bool: overlap, agreement and information suffice, and all is finite."""
        finite = torch.isfinite(self.T_reference_camera).flatten(1).all(1)
        enough = (self.overlap >= limits.min_overlap) & (self.pixels >= limits.min_pixels)
        enough &= self.agreement >= _LEAST_AGREEMENT
        return finite & enough & (self.weakest >= limits.min_information)

    def best(self, limits: OdometryConfig) -> DenseAlignment | None:
        """Return the result with the largest overlap among those that succeeded, or None."""
        good = self.succeeded(limits)
        if not bool(good.any()):
            return None
        return self.one(int(torch.where(good, self.overlap, -1.0).argmax()))

    def one(self, index: int) -> DenseAlignment:
        """Return the result of one view of the batch."""
        at = slice(index, index + 1)
        return DenseAlignment(*(getattr(self, item.name)[at] for item in fields(self)))


# Views, references and starts (B, 4, 4) -> poses.
Aligner: TypeAlias = Callable[
    [Sequence[DenseView], Sequence[DenseView], torch.Tensor], DenseAlignment
]
# Steps at each level, the coarsest first; a level further down repeats the last number.
STEPS = (12, 8, 5)
# A step is the last one if no twist moves by more than this, relative to the lever.
_STILL = 1e-6

# One step at one level: the poses before -> the poses after and the largest motion.
Step = Callable[[DenseView, DenseView, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


def coarse_to_fine(
    views: Sequence[DenseView],
    references: Sequence[DenseView],
    T: torch.Tensor,
    step: Step,
    steps: Sequence[int] = STEPS,
) -> torch.Tensor:
    """Return the poses (B, 4, 4) after the steps at every level, the coarsest first.

    Args:
        views, references: pyramids, the finest first.
        T: the start, (B, 4, 4).
        step: called with view, reference, poses and level; level 0 is the finest.
        steps: number of steps, from the coarsest level on.
    """
    levels = min(len(views), len(references))
    for index, level in enumerate(range(levels - 1, -1, -1)):
        for _ in range(steps[min(index, len(steps) - 1)]):
            T, moved = step(views[level], references[level], T, level)
            if not bool((moved > _STILL).any()):
                break
    return T
