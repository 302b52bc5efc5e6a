"""Parameters of the keyframe rule."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class KeyframeConfig:
    """When a frame becomes a keyframe.

    Example:
        >>> KeyframeConfig().parallax
        0.06
    """

    parallax: float = leaf(
        0.06, "translation since the last keyframe over scene depth that makes a keyframe", low=0.0
    )
    rotation_deg: float = leaf(
        12.0,
        "rotation since the last keyframe that makes a keyframe, degrees",
        low=0.0,
        high=180.0,
    )
    min_overlap: float = leaf(
        0.75,
        "share of the last keyframe still in view under which a keyframe is made",
        low=0.0,
        high=1.0,
    )
    max_interval_s: float = leaf(
        5.0, "time after which a moved camera gets a keyframe anyway, seconds", low=0.0
    )
    min_parallax: float = leaf(
        0.01, "translation over scene depth under which motion says nothing about depth", low=0.0
    )
    pure_rotation: str = leaf(
        "sensor_only",
        "map keyframes made by rotation alone: always, never, or only when depth is measured",
        choices=("always", "never", "sensor_only"),
    )
    min_sharpness: float = leaf(
        0.3,
        "image sharpness relative to recent frames under which a frame waits; 0 turns it off",
        low=0.0,
        high=1.0,
    )
