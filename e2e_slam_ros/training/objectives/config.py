"""Weights and constants of the loss terms."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class LossWeights:
    """Factors of the loss terms; 0 turns a term off and saves its time.

    >>> LossWeights().self_supervised, LossWeights(photometric=1.0).self_supervised
    (False, True)
    """

    scale_invariant: float = leaf(1.0, "of the scale-invariant error of log depth", low=0.0)
    gradient: float = leaf(0.5, "of the multi-scale gradient of the log depth error", low=0.0)
    metric: float = leaf(0.1, "of the absolute error of log depth, in metres", low=0.0)
    uncertainty: float = leaf(0.1, "of the uncertainty of labelled depth (paper eq. 8)", low=0.0)
    photometric: float = leaf(0.0, "of the photometric error of the other view", low=0.0)
    consistency: float = leaf(0.0, "of the contradiction between two views' depths", low=0.0)
    smoothness: float = leaf(0.0, "of the edge-aware smoothness of disparity", low=0.0)
    photometric_uncertainty: float = leaf(
        0.0,
        "of the uncertainty of unlabelled views, from the photometric error; the head then means "
        "grey levels there and log depth elsewhere",
        low=0.0,
    )

    @property
    def supervised(self) -> bool:
        """Any term needs labels."""
        return max(self.scale_invariant, self.gradient, self.metric, self.uncertainty) > 0

    @property
    def self_supervised(self) -> bool:
        """Any term needs a second view."""
        return max(self.photometric, self.consistency, self.photometric_uncertainty) > 0


@dataclass(frozen=True)
class ObjectiveConfig:
    """Constants of the losses.

    >>> ObjectiveConfig(max_m=8.0).max_m
    8.0
    """

    min_m: float = leaf(0.15, "nearest label used, metres", low=0.0)
    max_m: float = leaf(12.0, "farthest label used, metres", low=0.1)
    balance: float = leaf(
        0.9,
        "share of the mean error that the scale-invariant loss forgives (lambda)",
        low=0.0,
        high=1.0,
    )
    gradient_scales: int = leaf(4, "sizes at which depth gradients are compared", low=1, high=8)
    uncertainty_detached: bool = leaf(
        True, "the uncertainty loss teaches its head alone, not the features it reads"
    )
    stationary_mask: bool = leaf(
        True, "pixels that not warping explains better are left out of the photometric error"
    )
