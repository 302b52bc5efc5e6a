"""Settings of rendered clips."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class ClipConfig:
    """Short videos of random rooms, with exact depth and poses.

    >>> ClipConfig(rooms=3).frames
    5
    """

    rooms: int = leaf(240, "number of rooms", low=1)
    first_seed: int = leaf(50000, "seed of the first room; the next ones count on", low=0)
    clips_per_room: int = leaf(4, "clips of one room, far apart", low=1, high=64)
    frames: int = leaf(5, "frames of a clip", low=2, high=16)
    width: int = leaf(256, "image width in pixels", low=32)
    height: int = leaf(192, "image height in pixels", low=32)
    fov_min_deg: float = leaf(
        50.0, "least horizontal field of view, degrees", low=10.0, high=150.0
    )
    fov_max_deg: float = leaf(75.0, "most horizontal field of view, degrees", low=10.0, high=150.0)
    interval_min_s: float = leaf(
        0.15, "least time between frames, seconds; 0.2 is about 10 cm", low=0.05, high=2.0
    )
    interval_max_s: float = leaf(0.4, "most time between frames, seconds", low=0.05, high=2.0)
    extra_pitch_deg: float = leaf(
        20.0, "a clip's camera is tilted by up to this, degrees", low=0.0, high=90.0
    )
    extra_roll_deg: float = leaf(
        20.0, "a clip's camera is rolled by up to this, degrees", low=0.0, high=180.0
    )
    moving: int = leaf(0, "boxes that move through each clip", low=0, high=16)
    moving_m_s: float = leaf(0.6, "largest speed of a moving box, metres a second", low=0.0)
    texture_size: int = leaf(128, "edge of a texture in texels", choices=(64, 128, 256, 512, 1024))
    cache: str = leaf(
        "", "folder that keeps rendered clips; empty: e2e_slam_ros/clips in the user's cache"
    )
