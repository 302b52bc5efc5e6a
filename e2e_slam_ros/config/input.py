"""Options that name the parts of an input. One spelling everywhere.

``image_topic`` is an option ``--image-topic`` of the commands, a parameter ``image_topic`` of
``dataset_player`` and an argument ``image_topic:=`` of the launch files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import leaf, leaves

# Layouts of recordings (`data.layouts` opens them), in the order in which they are recognised.
LAYOUT_NAMES = (
    *("icl", "tum", "euroc", "7scenes", "scannet", "sens", "replica", "nerfstudio", "stray"),
    *("openloris", "kitti", "bag", "video", "images"),
)


@dataclass(frozen=True)
class InputOptions:
    """Parts of an input that the user names. An empty text leaves the choice to the input policy.

    Raises:
        ConfigError: a negative number, or a word that is none of the choices.

    >>> InputOptions(image_topic="/camera/color/image_raw").depth_topic
    ''
    """

    dataset: str = leaf(
        "auto", "layout of the recording; auto: recognised", choices=("auto", *LAYOUT_NAMES)
    )
    image_topic: str = leaf("", "topic of the colour image")
    depth_topic: str = leaf("", "topic of the depth image")
    camera_info_topic: str = leaf("", "topic with the calibration of the colour image")
    depth_info_topic: str = leaf("", "topic with the calibration of the depth image")
    pose_topic: str = leaf("", "topic with the camera's poses: PoseStamped, Odometry, ... or /tf")
    pose_frame: str = leaf(
        "",
        "frame whose pose the pose topic or file gives: a TF frame; 'optical' (the camera, z "
        "forward); 'body' (at the camera, x forward)",
    )
    map_frame: str = leaf("", "fixed frame of the poses")
    camera_frame: str = leaf("", "optical frame of the camera; empty: the images' frame_id")
    depth_frame: str = leaf("", "optical frame of the depth; empty: the depth images' frame_id")
    intrinsics: str = leaf("", "camera: 'fx,fy,cx,cy', a calibration file, or fr1, fr2, fr3")
    rectified: str = leaf(
        "auto",
        "yes: the images are rectified (P, no distortion); no: they are not; auto: by the name",
        choices=("auto", "yes", "no"),
    )
    depth_factor: float = leaf(0.0, "depth counts per metre; 0: as the input says", low=0.0)
    tolerance_s: float = leaf(
        0.02, "largest time between an image and its depth, seconds", low=0.0
    )
    pose_tolerance_s: float = leaf(
        0.1, "largest time between an image and a recorded pose, seconds", low=0.0
    )
    clock: str = leaf(
        "header",
        "header: stamps of the messages; recording: times at which they were recorded",
        choices=("header", "recording"),
    )

    def __post_init__(self) -> None:
        for info in leaves(self):
            if info.name in _NAMES:
                info.check(getattr(self, info.name))


_NAMES = tuple(item.name for item in fields(InputOptions))


def flag(name: str) -> str:
    """Return the command-line spelling of an option.

    >>> flag("image_topic")
    '--image-topic'
    """
    return f"--{name.replace('_', '-')}"


def option(name: str, value: str = "...") -> str:
    """Return how a message names an option; see `in_ros` for messages of nodes.

    Raises:
        ConfigError: there is no such option.

    >>> option("image_topic", "/camera/image")
    '--image-topic /camera/image'
    """
    if name not in _NAMES:
        raise ConfigError.from_parts("option", repr(name), ", ".join(_NAMES), "correct the name")
    return f"{flag(name)} {value}"


def in_ros(text: str) -> str:
    """Return a message with its options spelled as parameters and launch arguments.

    >>> in_ros("choose it with --image-topic /camera/image; or --set a=b")
    'choose it with image_topic:=/camera/image; or --set a=b'
    """
    return _OPTIONS.sub(lambda m: f"{m[1].replace('-', '_')}:={m[2]}", text)


_OPTIONS = re.compile(rf"--({'|'.join(flag(name)[2:] for name in _NAMES)}) (\S+)")
