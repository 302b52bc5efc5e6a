"""The seven standard depth metrics (Eigen et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy.typing as npt
import torch

from e2e_slam_ros.config.errors import DepthError

DepthMap: TypeAlias = torch.Tensor | npt.NDArray[Any]

_DELTA = 1.25


@dataclass(frozen=True)
class DepthMetrics:
    """Errors of one depth map over its valid pixels, or their mean over several maps.

    Attributes:
        abs_rel: mean of |d - d*| / d*.
        sq_rel: mean of (d - d*)^2 / d*, metres.
        rmse: root mean square error, metres.
        rmse_log: root mean square of the natural logarithms' difference.
        delta_1, delta_2, delta_3: share of pixels with max(d/d*, d*/d) < 1.25, 1.25^2, 1.25^3.
        pixels: number of valid pixels.

    >>> depth_metrics(torch.tensor([2.2]), torch.tensor([2.0]), 0.1, 8.0).delta_1
    1.0
    """

    abs_rel: float
    sq_rel: float
    rmse: float
    rmse_log: float
    delta_1: float
    delta_2: float
    delta_3: float
    pixels: int


def depth_metrics(
    predicted: DepthMap, truth: DepthMap, min_m: float, max_m: float, median_scale: bool = False
) -> DepthMetrics | None:
    """Compare a depth map with the truth (Eigen et al. 2014, section 4).

    A pixel counts when both depths are finite, the truth lies strictly between ``min_m`` and
    ``max_m`` and the prediction is positive. Missing depth (0, NaN) on either side therefore
    enters neither the errors nor the medians.

    Args:
        predicted, truth: depth in metres, any equal shape, torch or NumPy.
        min_m, max_m: range of true depth that counts, metres.
        median_scale: first multiply the prediction by median(truth) / median(predicted), both
            over the pixels that count (what papers report for scale-free networks).

    Returns:
        The metrics, or None when no pixel counts.

    Raises:
        DepthError: the shapes differ.
    """
    # Float64: squared errors of a few hundred thousand pixels are summed.
    guess, real = _as_tensor(predicted), _as_tensor(truth)
    if guess.shape != real.shape:
        raise DepthError.from_parts(
            "depth to evaluate",
            f"shape {tuple(guess.shape)}",
            f"the truth's shape {tuple(real.shape)}",
            "resize one of them (nearest) first",
        )
    real = real.to(guess.device)
    valid = torch.isfinite(real) & torch.isfinite(guess)
    valid &= (real > min_m) & (real < max_m) & (real > 0.0) & (guess > 0.0)
    guess, real = guess[valid], real[valid]
    if real.numel() == 0:
        return None
    if median_scale:
        guess = guess * (real.median() / guess.median())
    return _metrics(guess, real)


def mean_depth_metrics(each: Iterable[DepthMetrics | None]) -> DepthMetrics | None:
    """Average metrics over images, each image counting alike; None when there are none."""
    known = [metrics for metrics in each if metrics is not None]
    if not known:
        return None
    names = [item.name for item in fields(DepthMetrics) if item.name != "pixels"]
    means = {name: sum(getattr(m, name) for m in known) / len(known) for name in names}
    return DepthMetrics(**means, pixels=sum(m.pixels for m in known))


def _as_tensor(depth: DepthMap) -> torch.Tensor:
    return torch.as_tensor(depth).detach().to(torch.float64)


def _metrics(guess: torch.Tensor, real: torch.Tensor) -> DepthMetrics:
    difference = guess - real
    ratio = torch.maximum(guess / real, real / guess)
    values = torch.stack(
        [
            (difference.abs() / real).mean(),
            (difference.square() / real).mean(),
            difference.square().mean().sqrt(),
            (guess.log() - real.log()).square().mean().sqrt(),
            (ratio < _DELTA).double().mean(),
            (ratio < _DELTA**2).double().mean(),
            (ratio < _DELTA**3).double().mean(),
        ]
    )
    abs_rel, sq_rel, rmse, rmse_log, delta_1, delta_2, delta_3 = values.tolist()
    return DepthMetrics(
        abs_rel, sq_rel, rmse, rmse_log, delta_1, delta_2, delta_3, int(real.numel())
    )
