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
    undistort: bool = leaf(True, "remove lens distortion given in camera_info")
