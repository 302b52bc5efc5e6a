"""Parameters of the visual tracker (``pose.source: visual``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class TrackingKeyframeConfig:
    """When the tracker keeps a frame."""

    lost: float = leaf(
        0.3,
        "share of the last keyframe's landmarks out of sight that makes one",
        low=0.0,
        high=1.0,
    )
    parallax: float = leaf(
        0.12, "translation since the last keyframe over scene depth that makes one", low=0.0
    )
    rotation_deg: float = leaf(
        11.0, "rotation since the last keyframe that makes one, degrees", low=0.0, high=180.0
    )


@dataclass(frozen=True)
class AdjustmentConfig:
    """Bundle adjustment of the tracker's keyframes."""

    window: int = leaf(10, "newest keyframes that are adjusted", low=2, high=100)
    fixed: int = leaf(30, "covisible older keyframes that hold them in place", low=1, high=200)
    iterations: int = leaf(8, "most Levenberg-Marquardt steps", low=1, high=100)
    pixel_sigma: float = leaf(0.7, "standard deviation of a corner's position, pixels", low=0.01)
    network_sigma: float = leaf(
        0.6, "relative standard deviation of a network's depth at a corner", low=0.001
    )
    sensor_sigma: float = leaf(0.003, "the same of a sensor's depth", low=0.0)
    sensor_sigma_m: float = leaf(0.01, "constant part of it, metres", low=0.0)


@dataclass(frozen=True)
class MapReuseConfig:
    """Old landmarks seen again."""

    enabled: bool = leaf(True, "look for old landmarks at every keyframe")
    radius_px: float = leaf(
        20.0, "farthest an old landmark may lie from where it is expected, pixels", low=1.0
    )
    min_similarity: float = leaf(
        0.8,
        "correlation of the two image patches under which it is not the same",
        low=0.0,
        high=1.0,
    )
    min_matches: int = leaf(8, "fewest matches to one older keyframe that count", low=1)


@dataclass(frozen=True)
class LoopConfig:
    """Places seen again, and the way back after tracking was lost."""

    enabled: bool = leaf(True, "close loops")
    min_matches: int = leaf(25, "fewest matches that agree with one pose", low=6)
    min_gap: int = leaf(20, "keyframes between the two ends of a loop", low=2)


@dataclass(frozen=True)
class TrackingConfig:
    """The camera's pose from its images."""

    image_width: int = leaf(640, "images wider than this are tracked smaller; 0: never", low=0)
    readout_s: float = leaf(
        -1.0,
        "time from an image's first row to its last (rolling shutter), seconds; "
        "0: all rows at once; below 0: learned from the images",
        low=-1.0,
        high=0.1,
    )
    corners: int = leaf(400, "most corners tracked in an image", low=20, high=5000)
    corner_distance_px: float = leaf(12.0, "least distance between corners, pixels", low=1.0)
    min_inliers: int = leaf(
        15, "fewest landmarks that must agree with a pose, else tracking is lost", low=6
    )
    keyframe: TrackingKeyframeConfig = field(default_factory=TrackingKeyframeConfig)
    adjustment: AdjustmentConfig = field(default_factory=AdjustmentConfig)
    reuse: MapReuseConfig = field(default_factory=MapReuseConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
