"""Fits of a scale to labels: depth that is known at some pixels."""

from __future__ import annotations

import math

import numpy as np
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry.masks import indices, known, or_one
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.views import SparseLabels

# Rounds of reweighting; the weights of L1 settle in about ten.
_ROUNDS = 20
# Residual of inverse depth under which L1 is treated as quadratic, relative to its median.
_SOFT = 1e-3


def weighted_median(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted median, a scalar: half the weight lies on either side of it.

    Where exactly half the weight lies at or below a value: the middle between it and the next.

    Args:
        values: (N,), N >= 1, finite.
        weights: (N,) >= 0, not all 0.
    """
    used = indices(weights > 0)
    used = used.index_select(0, _order(values.index_select(0, used)))
    ordered = values.index_select(0, used)
    below = weights.index_select(0, used).double().cumsum(0)
    half = 0.5 * below[-1]
    tolerance = 1e-9 * below[-1]
    first = int(torch.searchsorted(below, half - tolerance))
    second = int(torch.searchsorted(below, half + tolerance, right=True))
    last = ordered.numel() - 1
    return 0.5 * (ordered[min(first, last)] + ordered[min(second, last)])


def _order(values: torch.Tensor) -> torch.Tensor:
    """Return (N,) int64, the indices that sort (N,) values; of equal ones in any order."""
    if values.device.type == "cpu":
        # A fifth of the time of torch's `argsort`.
        return torch.from_numpy(np.argsort(values.detach().numpy()))
    return values.argsort()


@torch.no_grad()
def fit_scale(depth: torch.Tensor, labels: SparseLabels, min_points: int = 1) -> Scale:
    """Return the factor that makes the weighted median of ``label / depth`` one.

    Up to half the labels' weight may be wrong by any amount.

    Args:
        depth: (1, 1, H, W) > 0, the network's units.
        labels: of the same size, metres.
        min_points: fewest labels.

    Raises:
        DepthError: fewer.
    """
    here, there, weight = _common(depth, labels, min_points)
    logarithm = weighted_median((there / here).log(), weight)
    scale = float(logarithm.exp())
    error = _error(scale * here, there, weight)
    sigma = _sigma(depth, labels, float(logarithm))
    return Scale(scale, points=here.numel(), error=error, sigma=sigma)


@torch.no_grad()
def fit_scale_and_shift(depth: torch.Tensor, labels: SparseLabels, min_points: int = 2) -> Scale:
    """Return scale and shift of inverse depth with the least sum of absolute differences.

    Iteratively reweighted least squares from `fit_scale`. Where the labels' depths do not
    differ enough to tell scale from shift, or the fit would turn near into far, that of scale
    alone is returned.

    Args, raises: as `fit_scale`.
    """
    start = fit_scale(depth, labels, min_points)
    here, there, weight = _common(depth, labels, min_points)
    x, y, w = here.double().reciprocal(), there.double().reciprocal(), weight.double()
    scale, shift = 1.0 / start.factor, 0.0
    floor = _SOFT * float(weighted_median(y, w))
    for _ in range(_ROUNDS):
        v = w / (y - scale * x - shift).abs().clamp_min(floor)
        total = v.sum()
        mean_x, mean_y = (v * x).sum() / total, (v * y).sum() / total
        spread = (v * (x - mean_x).square()).sum() / total
        if float(spread.sqrt()) < 0.02 * float(mean_x):
            return start
        scale = float((v * (x - mean_x) * (y - mean_y)).sum() / total / spread)
        shift = float(mean_y - scale * mean_x)
    fitted = scale * x + shift
    if not math.isfinite(scale + shift) or scale <= 0 or float(fitted.min()) <= 0:
        return start
    error = _error(fitted.reciprocal(), there.double(), w)
    points, sigma = here.numel(), start.sigma
    return Scale(scale, shift, inverse=True, points=points, error=error, sigma=sigma)


@torch.no_grad()
def groundtruth_median_scale(depth: torch.Tensor, truth: torch.Tensor) -> Scale:
    """Return median(truth) / median(depth) over the pixels that both know (paper B.2).

    For evaluation alone. A missing depth (0) is in neither median.

    Raises:
        DepthError: no pixel in common.
    """
    both = known(depth) & known(truth)
    count = int(both.sum())
    if count == 0:
        raise too_few_labels(0, 1)
    here, there = depth[both], truth[both]
    scale = float(there.median() / here.median())
    return Scale(scale, points=count, error=_error(scale * here, there, torch.ones_like(here)))


def _common(
    depth: torch.Tensor, labels: SparseLabels, min_points: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    both = known(depth) & known(labels.depth) & known(labels.weight)
    used = indices(both.flatten())
    if used.numel() < max(min_points, 1):
        raise too_few_labels(used.numel(), min_points)
    here, there, weight = (x.flatten()[used] for x in (depth, labels.depth, labels.weight))
    return here, there, weight


def _sigma(depth: torch.Tensor, labels: SparseLabels, found: float) -> float:
    """Return the standard deviation of the logarithm of a scale; 0 for exact labels."""
    if labels.errors is None:
        return 0.0
    both = known(depth) & known(labels.depth)
    ratio = (or_one(labels.depth, both) / or_one(depth, both)).log()
    return labels.errors.scale_sigma(ratio, labels.weight * both, found)


def _error(aligned: torch.Tensor, there: torch.Tensor, weight: torch.Tensor) -> float:
    difference = (aligned.log() - there.log()).abs()
    return float((weight * difference).sum() / weight.sum())


def too_few_labels(count: int, least: int) -> DepthError:
    """Return the refusal of a fit to ``count`` labels where ``least`` are needed."""
    return DepthError.from_parts(
        "labels to find the depth network's scale from",
        count,
        f"at least {least}",
        "move the camera sideways, or lower refine.scale.min_points",
    )
