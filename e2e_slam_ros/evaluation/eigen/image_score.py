"""The score of one image by the Eigen protocol: crop, caps, median scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics
from e2e_slam_ros.evaluation.depth.scores import in_range

# Depth in metres that counts, and the caps of a prediction.
NEAREST_M, FARTHEST_M = 1e-3, 80.0
# Top, bottom, left, right in shares of height and width (Garg et al. 2016).
_CROP = (0.40810811, 0.99189189, 0.03594771, 0.96405229)


@dataclass(frozen=True)
class EigenScore:
    """The score of one image.

    Attributes:
        metrics: after scaling; ``delta_1`` to ``delta_3`` are the papers' a1 to a3.
        scale: median of the truth over that of the prediction.

    >>> truth = torch.full((375, 1242), 10.0)
    >>> score = eigen_score(truth / 5.0, truth)
    >>> score.scale, score.metrics.abs_rel
    (5.0, 0.0)
    """

    metrics: DepthMetrics
    scale: float


def eigen_score(depth: torch.Tensor, truth: torch.Tensor) -> EigenScore | None:
    """Compare a prediction with sparse depth; None where no pixel counts.

    The prediction is enlarged to the truth's size by its inverse, scaled so that the medians are
    equal, and cut to 1 mm and 80 m.

    Args:
        depth: (h, w), any unit, any size; not finite or not positive = unknown.
        truth: (H, W) metres, 0 = unknown.
    """
    known = torch.isfinite(depth) & (depth > 0)
    inverse = torch.where(known, depth.double().reciprocal(), 0.0)
    if inverse.shape != truth.shape:
        inverse = functional.interpolate(
            inverse[None, None], truth.shape, mode="bilinear", align_corners=False
        )[0, 0]
    counted = in_range(truth, NEAREST_M, FARTHEST_M) & garg_crop(*truth.shape).to(truth.device)
    counted &= inverse > 0
    if not bool(counted.any()):
        return None
    guess, real = inverse[counted].reciprocal(), truth[counted].double()
    scale = _median(real) / _median(guess)
    guess = (guess * scale).clamp(NEAREST_M, FARTHEST_M)
    metrics = depth_metrics(guess, real, NEAREST_M, FARTHEST_M)
    return None if metrics is None else EigenScore(metrics, scale)


def garg_crop(height: int, width: int) -> torch.Tensor:
    """Return (H, W) bool: the part of an image that counts.

    >>> rows = garg_crop(375, 1242).any(1).nonzero()
    >>> int(rows.min()), int(rows.max())
    (153, 370)
    """
    top, bottom, left, right = (
        int(share * side)
        for share, side in zip(_CROP, (height, height, width, width), strict=True)
    )
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    return inside


def _median(values: torch.Tensor) -> float:
    numbers: npt.NDArray[np.float64] = values.cpu().numpy()
    return float(np.median(numbers))
