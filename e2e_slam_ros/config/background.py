"""Parameters of learning in the background (``refine.strategy: auto``)."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class BackgroundConfig:
    """How the depth network learns the room while it is mapped.

    Example:
        >>> BackgroundConfig().steps
        5
    """

    parameters: str = leaf(
        "all",
        "parameters that learn: all, decoder, or norm_and_last (weights of norm layers, last "
        "layer)",
        choices=("all", "decoder", "norm_and_last"),
    )
    learning_rate: float = leaf(2e-5, "step size of Adam", low=1e-8, high=0.1)
    steps: int = leaf(5, "largest number of steps for each new keyframe", low=1, high=500)
    batch: int = leaf(4, "keyframes in a step, half of them among the newest", low=1, high=64)
    memory: int = leaf(48, "keyframes that are learned from", low=4, high=1000)
    places: int = leaf(
        100,
        "keyframes whose ratio of true to predicted depth is expected again where images look "
        "alike; 0: none",
        low=0,
        high=1000,
    )
    share: float = leaf(
        0.3,
        "largest share of the time that a step may take; the rest is left to mapping",
        low=0.01,
        high=1.0,
    )
    min_gain: float = leaf(
        0.3,
        "what is learned is used where it predicts keyframes that it has not learned from better "
        "by this share; a part of it is used for a part of the gain",
        low=0.0,
        high=2.0,
    )
