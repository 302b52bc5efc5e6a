"""Parameters of the occupancy grid."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class GridConfig:
    """The 2-D occupancy grid that planners of mobile robots use.

    Example:
        >>> GridConfig().resolution_m
        0.05
    """

    resolution_m: float = leaf(0.05, "side of a cell, metres", low=0.01, high=1.0, live=True)
    low_m: float = leaf(
        0.15, "lowest obstacle, metres above the floor; lower is floor", low=0.02, live=True
    )
    high_m: float = leaf(
        1.8, "the robot passes under what is higher, metres above the floor", low=0.05, live=True
    )
    floor: str = leaf(
        "auto",
        "auto: the lowest large level surface of the map, also where the map is tilted a little; "
        "fixed: floor_m",
        choices=("auto", "fixed"),
        live=True,
    )
    floor_m: float = leaf(0.0, "height of the floor in the map with floor: fixed", live=True)
    min_points: int = leaf(
        2, "number of surfels in a cell that make an obstacle", low=1, live=True
    )
    min_confidence: float = leaf(
        1.0,
        "surfels below this confidence are left out: with less than 1, most were seen once",
        low=0.0,
        live=True,
    )
    range_m: float = leaf(
        5.0,
        "rays of the camera show that cells up to this far are free, metres",
        low=0.0,
        live=True,
    )
    period_s: float = leaf(
        3.0, "shortest time between two published grids, seconds", low=0.1, live=True
    )
