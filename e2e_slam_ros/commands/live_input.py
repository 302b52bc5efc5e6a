"""Input and parameters of ``e2e-slam live``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from e2e_slam_ros.commands.settings import named_in, read_settings
from e2e_slam_ros.commands.terminal import say
from e2e_slam_ros.config import Config

if TYPE_CHECKING:
    from e2e_slam_ros.data.video_stream import CameraOfSize, VideoStream

# A usual webcam.
DEFAULT_FOV_DEG = 65.0


def live_settings(arguments: argparse.Namespace) -> Config:
    """Return the parameters: poses from images and depth from the network, unless told else.

    Raises:
        ConfigError: the file cannot be read, or a parameter is unknown or out of range.
    """
    named = named_in(arguments.assignments)
    config = read_settings(arguments.config, arguments.assignments)
    chosen: dict[str, object] = {"pose.source": "visual", "depth.source": "network"}
    chosen["runtime.viewer"] = "web"
    chosen = {name: value for name, value in chosen.items() if name not in named}
    given = {
        "runtime.viewer": arguments.viewer,
        "runtime.viewer_host": arguments.viewer_host,
        "runtime.viewer_port": arguments.viewer_port,
        "runtime.offline": True if arguments.lockstep else None,
    }
    chosen |= {name: value for name, value in given.items() if value is not None}
    return config.with_values(chosen)


def lens_of(arguments: argparse.Namespace) -> CameraOfSize:
    """Return the intrinsics of the calibration file or field of view; tell the default.

    Raises:
        DataError: the file or the angle cannot be used.
    """
    from e2e_slam_ros.data.video_stream import camera_of_file, camera_of_view

    if arguments.calibration is not None:
        return camera_of_file(arguments.calibration.expanduser())
    if arguments.fov is not None:
        return camera_of_view(arguments.fov)
    say(
        f"no calibration: a horizontal field of view of {DEFAULT_FOV_DEG:.0f} degrees is taken "
        "(--fov DEG or --calibration FILE; a wrong one bends the map)"
    )
    return camera_of_view(DEFAULT_FOV_DEG)


def open_stream(arguments: argparse.Namespace, lens: CameraOfSize) -> VideoStream:
    """Open the camera or the video file.

    Raises:
        DataError: it is not there, or cannot be read.
    """
    from e2e_slam_ros.data.video_stream import VideoStream

    if arguments.video is not None:
        return VideoStream(arguments.video.expanduser(), lens)
    camera = arguments.camera
    return VideoStream(int(camera) if camera.isdecimal() else camera, lens)
