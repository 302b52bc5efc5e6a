"""How the errors of depth compare with their stated standard deviations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from e2e_slam_ros.data.keyframe import DepthEstimate

# Share of normal errors within one standard deviation.
_ONE_SIGMA = 0.6827
_FEWEST = 100


def sigma_ratio(
    estimate: DepthEstimate, truth: torch.Tensor, near_m: float, far_m: float
) -> float | None:
    """Return the 68 % quantile of errors of log depth over their stated standard deviations.

    It is 1 where the stated deviations are right, and larger where they are too small.

    Args:
        estimate: with ``sigma``.
        truth: (H, W) metres, 0 = unknown.
        near_m, far_m: range of true depth that counts.

    Returns:
        The ratio; None without stated deviations, or with fewer than 100 pixels.

    >>> depth = torch.full((1, 1, 10, 20), 1.1)
    >>> stated = DepthEstimate(depth, None, "network", "motion", torch.full_like(depth, 0.05))
    >>> round(sigma_ratio(stated, torch.ones(10, 20), 0.1, 8.0), 2)
    1.91
    """
    if estimate.sigma is None:
        return None
    depth, sigma = estimate.depth[0, 0], estimate.sigma[0, 0]
    both = (truth > near_m) & (truth < far_m) & (depth > 0)
    if int(both.sum()) < _FEWEST:
        return None
    ratio = (depth[both] / truth[both]).log().abs() / sigma[both]
    return float(np.quantile(ratio.detach().cpu().numpy(), _ONE_SIGMA))


def mean_ratio(ratios: Iterable[float | None]) -> float | None:
    """Return the mean of the known ratios; None without any."""
    some = [ratio for ratio in ratios if ratio is not None]
    return float(np.mean(some)) if some else None
