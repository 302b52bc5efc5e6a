"""Parameters of the keyframe rule."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class KeyframeConfig:
    """Limits from which on a frame becomes a keyframe.

    Example:
        >>> KeyframeConfig().parallax
        0.06
    """

    parallax: float = leaf(
        0.06,
        "a frame becomes a keyframe when its distance from the last one, over the scene's median "
        "depth, reaches this",
        low=0.0,
    )
    rotation_deg: float = leaf(
        12.0,
        "a frame becomes a keyframe when it is turned from the last one by this angle, degrees",
        low=0.0,
        high=180.0,
    )
    min_overlap: float = leaf(
        0.75,
        "a frame becomes a keyframe when a smaller share of the last one is still in view",
        low=0.0,
        high=1.0,
    )
    max_interval_s: float = leaf(
        5.0,
        "a camera that has moved gets a keyframe after this time at the latest, seconds",
        low=0.0,
    )
    min_parallax: float = leaf(
        0.01, "with less translation over scene depth, motion says nothing about depth", low=0.0
    )
    pure_rotation: str = leaf(
        "sensor_only",
        "map keyframes made by rotation alone: always, never, or only when depth is measured",
        choices=("always", "never", "sensor_only"),
    )
    min_sharpness: float = leaf(
        0.3,
        "a frame less sharp than this share of the recent frames' sharpness waits; 0 turns the "
        "rule off",
        low=0.0,
        high=1.0,
    )
    check_lens: bool = leaf(
        True,
        "a picture that shows nothing (black, white, even, noise, half of it gone dark, or the "
        "same picture again at another pose) is no keyframe; with measured depth it only "
        "gives a warning",
    )
