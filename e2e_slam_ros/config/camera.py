"""Parameters of the working image."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class CameraConfig:
    """The working image.

    Example:
        >>> CameraConfig().working_width
        320
    """

    working_width: int = leaf(
        320, "images are reduced to this width, pixels; 0 keeps the camera's size", low=0
    )
    rectified: str = leaf(
        "auto",
        "yes: live images are rectified (P of camera_info, no distortion); no: they are not; "
        "auto: by the topic's name (image_rect...)",
        choices=("auto", "yes", "no"),
    )
    transport: str = leaf(
        "raw",
        "raw: Image; compressed: CompressedImage on <image topic>/compressed and <depth "
        "topic>/compressedDepth; CompressedImage may be JPEG, PNG or, with PyAV, a video (H.264)",
        choices=("raw", "compressed"),
    )
    correct_focal: bool = leaf(
        True,
        "correct the stated focal length by the images where poses are given and depth is not "
        "measured",
    )
    undistort: bool = leaf(True, "remove lens distortion given in camera_info")
