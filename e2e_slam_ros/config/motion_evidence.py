"""Parameters of what known motion says about a keyframe's depth."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class MotionEvidenceConfig:
    """What each kind of evidence weighs; a fair match of images costs 0.5, none at all 1.

    Example:
        >>> MotionEvidenceConfig().neighbours
        6
    """

    enabled: bool = leaf(
        True,
        "correct a network's depth pixel by pixel by known motion where refine.scale.source is "
        "motion; false: one scale for the whole keyframe",
        live=True,
    )
    neighbours: int = leaf(
        6, "earlier views compared with, and as many later", low=1, high=16, live=True
    )
    between: int = leaf(
        3,
        "how many of the earlier views may be camera frames between keyframes",
        low=0,
        high=8,
        live=True,
    )
    min_baseline_m: float = leaf(
        0.03,
        "distance under which another view says nothing about depth, metres",
        low=0.0,
        live=True,
    )
    min_information: float = leaf(
        0.0055,
        "mean weight of the chosen planes times parallax (farthest view over depth) under which "
        "all is ignored: 0.07 of parallax where images agree as usual, 0.15 where hardly",
        low=0.0,
        live=True,
    )
    width: int = leaf(160, "image width of the plane sweep in pixels", low=32, live=True)
    coarse: float = leaf(
        0.25,
        "weight of a sweep at a quarter of the width beside it; 0 leaves it out",
        low=0.0,
        live=True,
    )
    prior: float = leaf(
        0.2, "most that leaving the expected depth costs a pixel", low=0.0, live=True
    )
    prior_reach: float = leaf(
        1.0,
        "difference of log depth at which leaving the expected costs most",
        low=1e-3,
        live=True,
    )
    network_share: float = leaf(
        0.6,
        "share of the network's shape in the expected depth; the rest is interpolated between "
        "what motion is sure of",
        low=0.0,
        high=1.0,
        live=True,
    )
    earlier: float = leaf(
        0.3, "most that leaving the depth of other keyframes costs a pixel", low=0.0, live=True
    )
    earlier_reach: float = leaf(
        0.1,
        "difference of log depth at which leaving other keyframes' depth costs most",
        low=1e-3,
        live=True,
    )
    smoothing: float = leaf(
        0.05,
        "weight of each pixel of the result against its surroundings' 0.02",
        low=0.0,
        live=True,
    )
    own_error: float = leaf(
        0.04,
        "mean correction, natural logarithm of depth, that is as likely motion's own error as the "
        "network's: a correction this small is left out, a larger one shrunk the less",
        low=0.0,
        live=True,
    )
