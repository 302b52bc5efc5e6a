"""Parameters of the visual tracker (``pose.source: visual``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.dense import OdometryConfig
from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class TrackingKeyframeConfig:
    """Limits from which on the tracker keeps a frame.

    Example:
        >>> TrackingKeyframeConfig().rotation_deg
        11.0
    """

    lost: float = leaf(
        0.3,
        "the tracker keeps a frame when this share of the last one's landmarks is out of sight",
        low=0.0,
        high=1.0,
    )
    parallax: float = leaf(
        0.12,
        "the tracker keeps a frame at this distance from the last one, over scene depth",
        low=0.0,
    )
    rotation_deg: float = leaf(
        11.0,
        "the tracker keeps a frame turned by this angle from the last one, degrees",
        low=0.0,
        high=180.0,
    )


@dataclass(frozen=True)
class AdjustmentConfig:
    """Bundle adjustment of the tracker's keyframes.

    Example:
        >>> AdjustmentConfig().window
        10
    """

    window: int = leaf(10, "number of newest keyframes that are adjusted", low=2, high=100)
    fixed: int = leaf(
        30,
        "number of older keyframes with common landmarks that hold them in place",
        low=1,
        high=200,
    )
    iterations: int = leaf(8, "largest number of Levenberg-Marquardt steps", low=1, high=100)
    pixel_sigma: float = leaf(0.7, "standard deviation of a corner's position, pixels", low=0.01)
    network_sigma: float = leaf(
        1.5,
        "relative standard deviation of a network's depth at a corner, as if the errors of all "
        "corners and images were independent",
        low=0.001,
    )
    sensor_sigma: float = leaf(0.003, "relative standard deviation of a sensor's depth", low=0.0)
    sensor_sigma_m: float = leaf(
        0.01, "constant part of the standard deviation of a sensor's depth, metres", low=0.0
    )


@dataclass(frozen=True)
class MapReuseConfig:
    """Old landmarks seen again.

    Example:
        >>> MapReuseConfig().enabled
        True
    """

    enabled: bool = leaf(True, "look for old landmarks at every keyframe")
    radius_px: float = leaf(
        20.0, "largest distance of an old landmark from its expected place, pixels", low=1.0
    )
    min_similarity: float = leaf(
        0.8,
        "smallest correlation of two image patches that show the same landmark",
        low=0.0,
        high=1.0,
    )
    min_matches: int = leaf(
        8, "smallest number of matches to one older keyframe that counts", low=1
    )


@dataclass(frozen=True)
class LoopConfig:
    """Places seen again: loops, and the recovery of lost tracking.

    Example:
        >>> LoopConfig().min_gap
        20
    """

    enabled: bool = leaf(True, "close loops")
    min_matches: int = leaf(25, "smallest number of matches that agree with one pose", low=6)
    min_gap: int = leaf(20, "smallest number of keyframes between the two ends of a loop", low=2)


@dataclass(frozen=True)
class TrackingConfig:
    """The camera's pose from its images.

    Example:
        >>> TrackingConfig().loop.enabled
        True
    """

    prior: str = leaf(
        "none",
        "with pose.source visual: odometry or tf predicts the camera's motion, gives the scale, "
        "and carries the pose on where images cannot",
        choices=("none", "odometry", "tf"),
    )
    scale: str = leaf(
        "auto",
        "where the map's metre comes from: auto: measured depth, else given poses or the prior, "
        "else the network; camera_height: the floor seen below a camera whose height is known; "
        "free: nothing, it is that of the first image",
        choices=("auto", "camera_height", "free"),
    )
    camera_height_m: float = leaf(
        0.0,
        "height of the camera over the floor, metres, for tracking.scale: camera_height",
        low=0.0,
        high=100.0,
    )
    image_width: int = leaf(
        640, "wider images are reduced to this width for tracking, pixels; 0: never", low=0
    )
    readout_s: float = leaf(
        -1.0,
        "time from an image's first row to its last (rolling shutter), seconds; "
        "0: all rows at once; below 0: learned from the images",
        low=-1.0,
        high=0.1,
    )
    localize_only: bool = leaf(
        False,
        "find the camera in a loaded map and change nothing in it: no new surfels, no new "
        "keyframes in the map",
    )
    corners: int = leaf(400, "largest number of corners tracked in an image", low=20, high=5000)
    edges: int = leaf(
        130,
        "largest number of points on straight edges, tracked where corners are few; 0: none",
        low=0,
        high=5000,
    )
    corner_distance_px: float = leaf(12.0, "smallest distance between corners, pixels", low=1.0)
    min_inliers: int = leaf(15, "tracking is lost if fewer landmarks agree with a pose", low=6)
    keyframe: TrackingKeyframeConfig = field(default_factory=TrackingKeyframeConfig)
    adjustment: AdjustmentConfig = field(default_factory=AdjustmentConfig)
    reuse: MapReuseConfig = field(default_factory=MapReuseConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    dense: str = leaf(
        "auto",
        "auto: where features give no pose, whole images and depths are aligned with the last "
        "keyframes; deepv2d, dro: the same, and begun also where that network puts the camera",
        choices=("off", "auto", "deepv2d", "dro"),
    )
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
