"""Settings of the data: procedural rooms, recorded sequences, augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class ProceduralConfig:
    """Pairs of views of random rooms, with exact depth and poses.

    >>> ProceduralConfig(rooms=3).pairs_per_room
    4
    """

    weight: float = leaf(
        1.0, "share of the samples, relative to the other sets; 0 leaves the set out", low=0.0
    )
    rooms: int = leaf(1000, "number of rooms", low=1)
    first_seed: int = leaf(10000, "seed of the first room; the next ones count on", low=0)
    pairs_per_room: int = leaf(4, "pairs of views of one room, far apart", low=1, high=64)
    width: int = leaf(320, "image width in pixels", low=32)
    height: int = leaf(256, "image height in pixels", low=32)
    fov_min_deg: float = leaf(
        45.0, "least horizontal field of view, degrees", low=10.0, high=150.0
    )
    fov_max_deg: float = leaf(80.0, "most horizontal field of view, degrees", low=10.0, high=150.0)
    extra_pitch_deg: float = leaf(
        25.0, "both views of a pair are tilted by up to this, degrees", low=0.0, high=90.0
    )
    extra_yaw_deg: float = leaf(
        15.0, "both views of a pair are turned by up to this, degrees", low=0.0, high=180.0
    )
    extra_roll_deg: float = leaf(
        25.0, "both views of a pair are rolled by up to this, degrees", low=0.0, high=180.0
    )
    pair_interval_s: float = leaf(
        0.2, "time between the views of a pair, seconds; 0.2 is about 10 cm", low=0.01, high=2.0
    )
    texture_size: int = leaf(
        256,
        "edge of a texture in texels; with 128 a room takes two thirds of the time",
        choices=(64, 128, 256, 512, 1024),
    )
    furniture: str = leaf(
        "",
        "archive of furniture models from tools/build_furniture.py; empty: rooms of boxes, "
        "cylinders and balls alone",
    )
    furnished_share: float = leaf(
        0.8, "share of the rooms that get models of the archive", low=0.0, high=1.0
    )
    close_share: float = leaf(
        0.35,
        "share of the pairs of a room with models that look at things from 0.4 to 1.2 m",
        low=0.0,
        high=1.0,
    )
    cache: str = leaf(
        "", "folder that keeps rendered rooms; empty: e2e_slam_ros/rooms in the user's cache"
    )


@dataclass(frozen=True)
class RecordedConfig:
    """Pairs of frames of recorded sequences.

    >>> RecordedConfig(paths="desk", weight=1.0).labels
    True
    """

    weight: float = leaf(
        0.0, "share of the samples, relative to the other sets; 0 leaves the set out", low=0.0
    )
    paths: str = leaf("", "sequences, separated by commas: folders or recordings")
    frames: str = leaf(":", "frames A:B of every sequence; either may be left out")
    labels: bool = leaf(True, "use recorded depth as labels")
    poses: bool = leaf(True, "use recorded poses to choose pairs and in the objective")
    pairs: bool = leaf(True, "frames come with a second view; false: single images")
    rectify: bool = leaf(
        False,
        "turn the second view like the first, so that a pair differs by translation alone; needs "
        "poses",
    )
    width: int = leaf(320, "images are reduced to this width in pixels", low=32)
    min_parallax: float = leaf(
        0.01, "least distance of a pair's cameras over the median depth", low=0.0
    )
    max_parallax: float = leaf(
        0.25, "largest distance of a pair's cameras over the median depth", low=0.0
    )
    max_rotation_deg: float = leaf(
        15.0, "largest rotation between a pair's cameras, degrees", low=0.0, high=180.0
    )
    median_depth_m: float = leaf(
        2.0, "median depth assumed where a frame has none, metres", low=0.01
    )
    min_apart: int = leaf(1, "least distance of a pair in frames where poses are unknown", low=1)
    max_apart: int = leaf(3, "largest distance of a pair in frames where poses are unknown", low=1)
    max_search: int = leaf(30, "partners are looked for this many frames to both sides", low=1)


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of every sample; each geometric one is exact for depth and poses.

    >>> AugmentConfig(mirror=0.0).mirror
    0.0
    """

    mirror: float = leaf(0.5, "share of samples mirrored left to right", low=0.0, high=1.0)
    roll_share: float = leaf(0.5, "share of samples rolled", low=0.0, high=1.0)
    roll_deg: float = leaf(25.0, "largest roll, degrees", low=0.0, high=180.0)
    tilt_deg: float = leaf(8.0, "largest virtual pitch and yaw, degrees", low=0.0, high=45.0)
    zoom_min: float = leaf(0.8, "least factor of the focal length", low=0.1)
    zoom_max: float = leaf(1.4, "largest factor of the focal length", low=0.1)
    aspect_min: float = leaf(0.85, "least factor of fy / fx", low=0.1)
    aspect_max: float = leaf(1.2, "largest factor of fy / fx", low=0.1)
    max_outside: float = leaf(
        0.15, "share of the new view that may lie outside the image, about", low=0.0, high=1.0
    )
    brightness: float = leaf(
        0.25, "largest change of brightness, as a fraction", low=0.0, high=1.0
    )
    contrast: float = leaf(0.25, "largest change of contrast, as a fraction", low=0.0, high=1.0)
    gamma: float = leaf(0.3, "largest change of gamma, as a fraction", low=0.0, high=0.9)
    saturation: float = leaf(0.4, "largest change of saturation, as a fraction", low=0.0, high=1.0)
    white_balance: float = leaf(
        0.12, "largest gain or loss of a colour channel", low=0.0, high=0.9
    )
    color_mix: float = leaf(
        0.06, "how far colour channels leak into one another", low=0.0, high=0.3
    )
    grey_share: float = leaf(0.08, "share of samples without colour", low=0.0, high=1.0)
    blur_share: float = leaf(0.25, "share of samples blurred", low=0.0, high=1.0)
    blur_px: float = leaf(1.2, "largest standard deviation of the blur, pixels", low=0.0, high=4.0)
    noise_share: float = leaf(0.5, "share of samples with noise", low=0.0, high=1.0)
    noise: float = leaf(
        0.03, "largest standard deviation of the noise, in [0, 1] units", low=0.0, high=0.5
    )
