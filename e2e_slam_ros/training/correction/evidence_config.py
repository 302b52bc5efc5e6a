"""Settings of the walks whose evidence the learned correction learns from."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class RenderedEvidenceConfig:
    """Walks through random rooms, with exact depth.

    >>> RenderedEvidenceConfig(rooms=3).frames
    30
    """

    rooms: int = leaf(100, "number of rooms, one walk in each", low=1)
    # Above the seeds that the shipped depth network was trained on: its depth of those rooms would
    # be better than that of a new room.
    first_seed: int = leaf(70000, "seed of the first room; the next ones count on", low=0)
    frames: int = leaf(30, "images of a walk", low=4, high=1000)
    width: int = leaf(
        320, "image width in pixels; the height is 0.67 to 0.8 of it", low=64, high=2048
    )
    rate_min_hz: float = leaf(3.0, "least rate of the images", low=0.1)
    rate_max_hz: float = leaf(9.0, "most rate of the images; 3 a second is about 15 cm", low=0.1)
    pose_noise_m: float = leaf(
        0.004, "largest standard deviation of a known pose's position, metres", low=0.0
    )
    pose_noise_deg: float = leaf(
        0.143, "largest standard deviation of a known pose's angles, degrees", low=0.0
    )
    focal_noise: float = leaf(
        0.004, "standard deviation of the known focal length, relative", low=0.0, high=0.5
    )
    disturbed_share: float = leaf(
        0.6, "share of the walks whose network depth is made worse", low=0.0, high=1.0
    )
    disturbance: float = leaf(
        0.15, "most that it is made worse by, standard deviation of its logarithm", low=0.0
    )
    texture_size: int = leaf(256, "edge of a texture in texels", choices=(64, 128, 256, 512, 1024))
    furniture: str = leaf(
        "",
        "archive of furniture models from tools/build_furniture.py; empty: rooms of boxes, "
        "cylinders and balls alone",
    )
    furnished_share: float = leaf(
        0.8, "share of the rooms that get models of the archive", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class RecordedEvidenceConfig:
    """Walks through recordings with depth and poses.

    Every recording is walked several times: with other steps, errors of poses, network depth and
    light, and backwards.

    >>> RecordedEvidenceConfig().weight
    0.0
    """

    weight: float = leaf(0.0, "share of the batches; rendered walks have 1", low=0.0)
    paths: str = leaf("", "folders or bags with depth and poses, separated by commas")
    frames: str = leaf(":", "frames A:B of every recording; either may be left out")
    passes: int = leaf(
        8, "how often a recording is walked; after four passes, four go backwards", low=1, high=64
    )
    most_step: int = leaf(
        3, "passes take every frame, every second one and so on up to this", low=1, high=100
    )
    length: int = leaf(50, "a pass is cut into walks of so many images", low=4, high=1000)
