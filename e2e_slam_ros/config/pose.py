"""Parameters of the camera pose and of TF frames."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf

# Sources that find poses from images and depth; the map then begins at the first camera.
DENSE_SOURCES = ("icp", "gradicp", "photometric", "deepv2d")
TRACKED_SOURCES = ("visual", *DENSE_SOURCES)


@dataclass(frozen=True)
class PoseConfig:
    """The source of camera poses.

    Example:
        >>> PoseConfig().source
        'topic'
    """

    source: str = leaf(
        "topic",
        "topic: PoseStamped of the camera; odometry: Odometry; tf: looked up at the image stamp; "
        "visual: found from the images; icp, gradicp, photometric: dense odometry; deepv2d: by a "
        "network, a degree off: a comparison, not for use",
        choices=("topic", "odometry", "tf", *TRACKED_SOURCES),
    )
    tolerance_s: float = leaf(
        0.05,
        "largest time difference between a pose and the image stamp, seconds",
        low=0.0,
        high=5.0,
        live=True,
    )
    refine: str = leaf(
        "auto",
        "given poses are refined by the images: auto: once images disagree with them; on: always; "
        "off: never",
        choices=("auto", "on", "off"),
    )
    disagreement_px: float = leaf(
        2.0,
        "images disagree with the given motion if corners are this far from where it allows them "
        "to be (median, pixels of an image 640 wide, over several images)",
        low=0.1,
        live=True,
    )
    sigma_m: float = leaf(
        0.05,
        "standard deviation of a pose on the topic along each axis, metres; odometry and tf "
        "drift: for them only the covariance in the message counts",
        low=0.001,
    )
    sigma_deg: float = leaf(
        1.0,
        "standard deviation of a pose on the topic about each axis, degrees",
        low=0.01,
    )
    motion_sigma_m: float = leaf(
        0.02, "standard deviation of the motion between two given poses, metres", low=0.0001
    )
    motion_sigma_deg: float = leaf(
        0.5, "standard deviation of the turn between two given poses, degrees", low=0.001
    )
    motion_sigma_share: float = leaf(
        0.02, "part of these standard deviations that grows with the motion's length", low=0.0
    )
    jump_m: float = leaf(
        0.5,
        "given poses jump if they leave their course by more than this between two images, "
        "metres; a jump that images do not show is not followed",
        low=0.01,
    )

    @property
    def is_tracked(self) -> bool:
        """Whether poses are found from the images instead of given."""
        return self.source in TRACKED_SOURCES

    @property
    def is_dense(self) -> bool:
        """Whether whole images are aligned, with the depth of each frame where there is some."""
        return self.source in DENSE_SOURCES


@dataclass(frozen=True)
class FramesConfig:
    """TF frame names (REP-105).

    Example:
        >>> FramesConfig().base
        'base_link'
    """

    map: str = leaf("map", "the fixed frame of the map")
    odom: str = leaf("odom", "the odometry frame; used when pose.source is odometry or tf")
    base: str = leaf("base_link", "the robot's base; used when pose.source is odometry or tf")
    camera: str = leaf(
        "camera_optical_frame", "the camera's optical frame; empty takes it from the image header"
    )
    depth: str = leaf(
        "",
        "the optical frame of depth images; empty takes it from their headers; depth of another "
        "frame than the image is registered through TF",
    )
