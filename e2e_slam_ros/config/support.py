"""Parameters of the comparison of a keyframe's depth with other keyframes'."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class SupportConfig:
    """Limits for depth that motion corrects: what other keyframes contradict is not mapped.

    Example:
        >>> SupportConfig().tolerance
        0.03
    """

    enabled: bool = leaf(
        True,
        "true: depth that motion corrects goes into the map only where other keyframes confirm it",
        live=True,
    )
    keyframes: int = leaf(16, "number of other keyframes to compare with", low=1, high=64)
    tolerance: float = leaf(
        0.03,
        "two keyframes confirm each other if their depths of a point differ by a smaller share",
        low=1e-3,
        high=0.5,
        live=True,
    )
    min_share: float = leaf(
        0.25,
        "smallest share of the keyframes that see a pixel's surface and have to confirm it",
        low=0.0,
        high=1.0,
        live=True,
    )
