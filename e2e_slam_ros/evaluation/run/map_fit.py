"""Distance of the measured points from the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class MapMetrics:
    """Distances from measured points to their nearest surfel, metres.

    Attributes:
        median_m, p95_m: median and 95th percentile over all points.
        worst_keyframe_m: largest of the keyframes' medians.
        points: measured points compared.

    >>> points = np.zeros((4, 3), np.float32)
    >>> map_metrics([points], points[:1]).points
    4
    """

    median_m: float
    p95_m: float
    worst_keyframe_m: float
    points: int


def map_metrics(
    measured: Sequence[npt.NDArray[np.float32]], surfels: npt.NDArray[np.float32]
) -> MapMetrics | None:
    """Measure the distance of each measured point to the map.

    Args:
        measured: for each keyframe (M, 3) points in the map frame, metres.
        surfels: (N, 3) surfel positions, metres.

    Returns:
        The metrics; None when there are no points or no surfels.
    """
    known = [points for points in measured if len(points)]
    if not known or len(surfels) == 0:
        return None
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(surfels).query(np.concatenate(known), k=1)
    median, p95 = np.percentile(distances, (50, 95))
    ends = np.cumsum([len(points) for points in known])[:-1]
    return MapMetrics(
        median_m=float(median),
        p95_m=float(p95),
        worst_keyframe_m=max(float(np.median(part)) for part in np.split(distances, ends)),
        points=len(distances),
    )
