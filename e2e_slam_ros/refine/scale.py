"""The scale of a network's depth, once for each keyframe, from depth known here and there."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.config.refine import ScaleConfig
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.refine.alignment import Alignment
from e2e_slam_ros.refine.views import SparseLabels

# Rounds of reweighting; the weights of L1 settle in about ten.
_ROUNDS = 20
# Residual of inverse depth under which L1 is treated as quadratic, relative to its median.
_SOFT = 1e-3


def weighted_median(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the value that half the weight lies on either side of, a scalar.

    Where exactly half the weight lies at or below a value: the middle between it and the next.

    Args:
        values: (N,), N >= 1, finite.
        weights: (N,) >= 0, not all 0.
    """
    used = weights > 0
    ordered, order = values[used].sort()
    below = weights[used].double()[order].cumsum(0)
    half = 0.5 * below[-1]
    tolerance = 1e-9 * below[-1]
    first = int(torch.searchsorted(below, half - tolerance))
    second = int(torch.searchsorted(below, half + tolerance, right=True))
    last = ordered.numel() - 1
    return 0.5 * (ordered[min(first, last)] + ordered[min(second, last)])


@torch.no_grad()
def align_scale(depth: torch.Tensor, labels: SparseLabels, min_points: int = 1) -> Alignment:
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
    return Alignment(scale, points=here.numel(), error=_error(scale * here, there, weight))


@torch.no_grad()
def align_scale_and_shift(
    depth: torch.Tensor, labels: SparseLabels, min_points: int = 2
) -> Alignment:
    """Return scale and shift of inverse depth with the least sum of absolute differences.

    Iteratively reweighted least squares from `align_scale`. Where the labels' depths do not
    differ enough to tell scale from shift, or the fit would turn near into far, that of scale
    alone is returned.

    Args, raises: as `align_scale`.
    """
    start = align_scale(depth, labels, min_points)
    here, there, weight = _common(depth, labels, min_points)
    x, y, w = here.double().reciprocal(), there.double().reciprocal(), weight.double()
    scale, shift = 1.0 / start.scale, 0.0
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
    return Alignment(scale, shift, inverse=True, points=here.numel(), error=error)


@torch.no_grad()
def align_groundtruth_median(depth: torch.Tensor, truth: torch.Tensor) -> Alignment:
    """Return median(truth) / median(depth) over the pixels that both know (paper B.2).

    For evaluation alone. A missing depth (0) is in neither median.

    Raises:
        DepthError: no pixel in common.
    """
    both = known(depth) & known(truth)
    count = int(both.sum())
    if count == 0:
        raise _too_few(0, 1)
    here, there = depth[both], truth[both]
    scale = float(there.median() / here.median())
    return Alignment(scale, points=count, error=_error(scale * here, there, torch.ones_like(here)))


def align(
    config: ScaleConfig,
    depth: torch.Tensor,
    labels: SparseLabels | None = None,
    truth: torch.Tensor | None = None,
) -> Alignment:
    """Return the alignment by ``config.source``; "learned" has its own `learned_scale`.

    Args:
        config: source and limits.
        depth: (1, 1, H, W), the network's units.
        labels: triangulated points ("motion") or measured depth ("depth_topic"), metres.
        truth: for "groundtruth_median".

    Raises:
        DepthError: too few labels.
        ConfigError: "groundtruth_median" without ground truth, or an unknown source.
    """
    if config.source == "fixed":
        return Alignment(config.factor)
    if config.source == "groundtruth_median":
        if truth is None:
            raise ConfigError.from_parts(
                "refine.scale.source",
                "groundtruth_median on live input",
                "motion, depth_topic, fixed or learned",
                "choose one: ground truth exists in evaluations only",
            )
        return align_groundtruth_median(depth, truth)
    if config.source not in ("motion", "depth_topic"):
        raise ConfigError.from_parts(
            "refine.scale.source",
            repr(config.source),
            "motion, depth_topic, fixed or groundtruth_median",
            "choose one of these",
        )
    if labels is None:
        raise _too_few(0, config.min_points)
    fit = align_scale_and_shift if config.shift else align_scale
    return fit(depth, labels, config.min_points)


def _common(
    depth: torch.Tensor, labels: SparseLabels, min_points: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    both = known(depth) & known(labels.depth) & known(labels.weight)
    count = int(both.sum())
    if count < max(min_points, 1):
        raise _too_few(count, min_points)
    return depth[both], labels.depth[both], labels.weight[both]


def _error(aligned: torch.Tensor, there: torch.Tensor, weight: torch.Tensor) -> float:
    difference = (aligned.log() - there.log()).abs()
    return float((weight * difference).sum() / weight.sum())


def _too_few(count: int, least: int) -> DepthError:
    return DepthError.from_parts(
        "labels to find the depth network's scale from",
        count,
        f"at least {least}",
        "move the camera sideways, or lower refine.scale.min_points",
    )
