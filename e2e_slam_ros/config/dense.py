"""Parameters of dense odometry (``pose.source: icp | gradicp | photometric``)."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class OdometryConfig:
    """Poses from whole images and depth maps. When a frame is kept: `TrackingKeyframeConfig`.

    Example:
        >>> OdometryConfig().reference
        'keyframe'
    """

    width: int = leaf(
        320, "images are halved until they are at most this wide, pixels", low=32, high=4096
    )
    levels: int = leaf(3, "number of image sizes, each half of the last", low=1, high=8)
    reference: str = leaf(
        "keyframe",
        "what frames are aligned with. keyframe: the depth of the last keyframe; map: the depth "
        "of a surfel map of all keyframes, drawn at the last keyframe's pose",
        choices=("keyframe", "map"),
    )
    min_overlap: float = leaf(
        0.12,
        "tracking is lost if a smaller share of the pixels agrees with the reference",
        low=0.0,
        high=1.0,
    )
    min_pixels: int = leaf(500, "tracking is lost if fewer pixels agree", low=6)
    min_information: float = leaf(
        0.0005,
        "tracking is lost if the pixels say less about some direction of motion, relative to all "
        "directions; 0: never",
        low=0.0,
        high=1.0,
    )
