"""What a stage of the training minimises, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class LossWeights:
    """Factors of the loss terms; 0 turns a term off and saves its time."""

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
class StageConfig:
    """One part of the training with its own length, rate and losses."""

    steps: int = leaf(0, "optimiser steps; 0 leaves the stage out", low=0)
    batch_size: int = leaf(8, "images (pairs) a step, of each process", low=1)
    learning_rate: float = leaf(5e-4, "peak learning rate", low=0.0, high=1.0)
    warmup_steps: int = leaf(100, "steps in which the rate rises from 0", low=0)
    final_rate: float = leaf(
        0.02, "rate at the end of the cosine over the peak rate", low=0.0, high=1.0
    )
    weights: LossWeights = field(default_factory=LossWeights)


def pretraining() -> StageConfig:
    """Return the defaults of supervised pre-training."""
    return StageConfig(steps=2000)


def self_supervision() -> StageConfig:
    """Return the defaults of self-supervision; labels stay where there are any."""
    return StageConfig(
        steps=0,
        batch_size=4,
        learning_rate=1e-4,
        weights=LossWeights(photometric=1.0, consistency=0.5, smoothness=0.1),
    )


@dataclass(frozen=True)
class ObjectiveConfig:
    """Constants of the losses."""

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


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW."""

    weight_decay: float = leaf(1e-4, "decoupled weight decay", low=0.0)
    beta_1: float = leaf(0.9, "decay of the mean gradient", low=0.0, high=0.9999)
    beta_2: float = leaf(0.99, "decay of the mean squared gradient", low=0.0, high=0.99999)
    encoder_rate: float = leaf(0.3, "learning rate of the encoder over that of the rest", low=0.0)
    clip_norm: float = leaf(1.0, "longest gradient; longer ones are shortened", low=1e-6)
    ema: float = leaf(
        0.995,
        "decay of the running mean of the weights, which is what is evaluated and saved; 0 off",
        low=0.0,
        high=0.99999,
    )
