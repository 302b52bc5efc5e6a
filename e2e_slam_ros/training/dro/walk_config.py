"""Settings of the rendered walks that DRO learns from."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class WalkConfig:
    """Short walks through random rooms with exact depth and poses.

    >>> WalkConfig(rooms=3).frames
    16
    """

    rooms: int = leaf(300, "number of rooms, one walk in each", low=1)
    # Above the seeds that the shipped single-image network was trained on: its depth of those
    # rooms would be better than that of a new room.
    first_seed: int = leaf(60000, "seed of the first room; the next ones count on", low=0)
    frames: int = leaf(16, "images of a walk", low=6, high=200)
    width: int = leaf(192, "image width in pixels, a multiple of 16", low=64)
    height: int = leaf(144, "image height in pixels, a multiple of 16", low=48)
    fov_min_deg: float = leaf(45.0, "least horizontal field of view", low=10.0, high=150.0)
    fov_max_deg: float = leaf(80.0, "most horizontal field of view", low=10.0, high=150.0)
    interval_min_s: float = leaf(0.1, "least time between images; 0.2 s is about 10 cm", low=0.01)
    interval_max_s: float = leaf(0.4, "most time between images", low=0.01)
    tilt_deg: float = leaf(15.0, "a walk's camera is pitched and rolled by up to this", low=0.0)
    pose_noise_m: float = leaf(
        0.01, "largest standard deviation of a known pose's position, metres", low=0.0
    )
    pose_noise_deg: float = leaf(
        0.4, "largest standard deviation of a known pose's angles, degrees", low=0.0
    )
    texture_size: int = leaf(128, "edge of a texture in texels", choices=(64, 128, 256, 512, 1024))
    cache: str = leaf(
        "", "folder that keeps rendered walks; empty: e2e_slam_ros/walks in the user's cache"
    )
