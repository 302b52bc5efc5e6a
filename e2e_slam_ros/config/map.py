"""Parameters of the surfel map."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class UnmeasuredConfig:
    """How depth that no sensor measured is mapped: its errors are larger, and smooth.

    Example:
        >>> UnmeasuredConfig().width
        160
    """

    width: int = leaf(
        160,
        "image width at which depth is mapped that is not measured, pixels; 0: as it comes. It "
        "has no finer detail than the plane sweep (refine.motion.width)",
        low=0,
    )
    distance_m: float = leaf(0.12, "map.distance_m for depth that is not measured", low=0.0)
    angle_deg: float = leaf(
        60.0, "map.angle_deg for depth that is not measured", low=0.0, high=90.0
    )
    max_sigma: float = leaf(
        0.08,
        "pixels with a larger relative standard deviation, errors of poses aside, are not mapped, "
        "where motion has corrected depth; 0: all are. A smaller limit gives fewer surfels in "
        "empty space and a map that is less complete",
        low=0.0,
    )


@dataclass(frozen=True)
class MapConfig:
    """The surfel map, PointFusion (Keller et al. 2013).

    Example:
        >>> MapConfig().distance_m
        0.05
    """

    max_surfels: int = leaf(2_000_000, "hard bound on the number of surfels", low=1000)
    distance_m: float = leaf(
        0.05, "a point merges with a surfel that is no farther away, metres", low=0.0
    )
    angle_deg: float = leaf(
        20.0,
        "a point merges with a surfel if their normals differ by no more, degrees",
        low=0.0,
        high=90.0,
    )
    radial_sigma: float = leaf(
        0.6, "sigma of the confidence over the normalised image radius (Keller: 0.6)", low=1e-3
    )
    max_confidence: float = leaf(
        100.0, "upper bound on a surfel's confidence; it lets old surfels still move", low=1.0
    )
    edge_ratio: float = leaf(
        0.05,
        "a pixel is left out as an edge if the depth of a neighbour differs by a larger share",
        low=0.0,
    )
    outlier_sigma: float = leaf(
        0.0,
        "surfels are left out of saved clouds if their neighbours are farther than usual by this "
        "many standard deviations; 0 keeps all",
        low=0.0,
    )
    unconfirmed_keyframes: int = leaf(
        10,
        "a surfel below stable_confidence that no keyframe confirmed for so many keyframes is "
        "removed when its place is measured again; 0 keeps it",
        low=0,
    )
    revisable_keyframes: int = leaf(
        0,
        "number of recent keyframes that can be taken out of the map again, 4 MB each; at least "
        "4 n + 1 where refine.wait_keyframes is n",
        low=0,
    )
    stable_confidence: float = leaf(
        2.0,
        "a surfel below this confidence is removed when a measurement sees through it",
        low=0.0,
    )
    unmeasured: UnmeasuredConfig = field(default_factory=UnmeasuredConfig)
