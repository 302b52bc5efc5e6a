"""Parameters of the surfel map."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class MapConfig:
    """PointFusion (Keller et al. 2013).

    Example:
        >>> MapConfig().distance_m
        0.05
    """

    max_surfels: int = leaf(2_000_000, "hard bound on the number of surfels", low=1000)
    distance_m: float = leaf(
        0.05, "farthest a point may be from the surfel it merges with, metres", low=0.0
    )
    angle_deg: float = leaf(
        20.0, "largest angle between their normals, degrees", low=0.0, high=90.0
    )
    radial_sigma: float = leaf(
        0.6, "sigma of the confidence over the normalised image radius (Keller: 0.6)", low=1e-3
    )
    max_confidence: float = leaf(
        100.0, "bound on a surfel's confidence, so that old surfels still move", low=1.0
    )
    edge_ratio: float = leaf(
        0.05,
        "depth step to a neighbour, relative, above which a pixel is an edge and left out",
        low=0.0,
    )
    outlier_sigma: float = leaf(
        0.0,
        "saved clouds lose surfels whose neighbours are farther than usual by this many standard "
        "deviations; 0 keeps all",
        low=0.0,
    )
    unconfirmed_keyframes: int = leaf(
        10,
        "keyframes after which a surfel below stable_confidence is removed when its place is "
        "measured again without confirming it; 0 keeps it",
        low=0,
    )
    revisable_keyframes: int = leaf(
        0, "how many recent keyframes can be taken out of the map again; 4 MB each", low=0
    )
    stable_confidence: float = leaf(
        2.0,
        "surfels below this confidence are removed when a measurement sees through them",
        low=0.0,
    )
