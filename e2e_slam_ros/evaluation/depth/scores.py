"""Scores of a depth map against the truth, raw and median-scaled, by texture of the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics, mean_depth_metrics
from e2e_slam_ros.evaluation.score_table import Cell, Column

_TITLES = {
    "abs_rel": "abs_rel",
    "sq_rel": "sq_rel",
    "rmse": "RMSE",
    "rmse_log": "log",
    "delta_1": "δ<1.25",
    "delta_2": "δ<1.25²",
    "delta_3": "δ<1.25³",
}


@dataclass(frozen=True)
class DepthScores:
    """Metrics of the depth as it is, and after multiplication by the scale of the image.

    None where no pixel counts.

    >>> truth = torch.full((4, 4), 2.0)
    >>> scores = depth_scores(truth * 1.5, truth, torch.tensor(1 / 1.5), 0.1, 8.0)
    >>> abs_rel(scores.raw), round(abs_rel(scores.median_scaled), 6)
    (0.5, 0.0)
    """

    raw: DepthMetrics | None
    median_scaled: DepthMetrics | None


@dataclass(frozen=True)
class TextureScores:
    """Scores of one depth map by set of pixels, all scaled by one ``scale``.

    >>> truth, textured = torch.full((2, 2), 2.0), torch.tensor([[True, False]] * 2)
    >>> scores = texture_scores(truth * 4.0, truth, textured, 0.1, 8.0)
    >>> scores.textured.raw.pixels, scores.every.raw.pixels, scores.scale
    (2, 4, 0.25)
    """

    every: DepthScores
    textured: DepthScores
    untextured: DepthScores
    scale: float


def in_range(truth: torch.Tensor, min_m: float, max_m: float) -> torch.Tensor:
    """Return where a true depth counts: strictly between ``min_m`` and ``max_m``."""
    return (truth > min_m) & (truth < max_m)


def is_predicted(depth: torch.Tensor) -> torch.Tensor:
    """Return where a depth map has a prediction: finite and positive."""
    return torch.isfinite(depth) & (depth > 0)


def median_scale(depth: torch.Tensor, truth: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return median(truth) / median(depth) over the ``counted`` pixels, float64; 1 with none."""
    if not bool(counted.any()):
        return torch.tensor(1.0, dtype=torch.float64, device=depth.device)
    return truth[counted].double().median() / depth[counted].double().median()


def depth_scores(
    depth: torch.Tensor, truth: torch.Tensor, scale: torch.Tensor, min_m: float, max_m: float
) -> DepthScores:
    """Return the scores over all pixels with a true depth in range."""
    return DepthScores(
        depth_metrics(depth, truth, min_m, max_m),
        depth_metrics(depth * scale, truth, min_m, max_m),
    )


def texture_scores(
    depth: torch.Tensor, truth: torch.Tensor, textured: torch.Tensor, min_m: float, max_m: float
) -> TextureScores:
    """Return the scores over all, the textured and the other pixels.

    Args:
        depth, truth: metres, of equal shape; 0 = unknown.
        textured: bool, of the same shape; see `is_textured`.
        min_m, max_m: range of true depth that counts, metres.
    """
    scale = median_scale(depth, truth, in_range(truth, min_m, max_m) & is_predicted(depth))
    parts = (truth, torch.where(textured, truth, 0.0), torch.where(textured, 0.0, truth))
    every, on, off = (depth_scores(depth, part, scale, min_m, max_m) for part in parts)
    return TextureScores(every, on, off, float(scale))


def mean_scores(each: Sequence[DepthScores]) -> DepthScores:
    """Return the mean over images, each image counting alike (Eigen et al. 2014)."""
    return DepthScores(
        mean_depth_metrics(scores.raw for scores in each),
        mean_depth_metrics(scores.median_scaled for scores in each),
    )


def metric_columns(digits: int) -> tuple[Column, ...]:
    """Return the columns of the seven metrics in a score table."""
    return tuple(Column(title, key, f".{digits}f") for key, title in _TITLES.items())


def metric_cells(metrics: DepthMetrics | None) -> tuple[Cell, ...]:
    """Return the cells of `metric_columns`; unknown ones where there are no metrics."""
    return tuple(None if metrics is None else getattr(metrics, key) for key in _TITLES)


def abs_rel(metrics: DepthMetrics | None) -> float:
    """Return the absolute relative error; NaN where no pixel counts."""
    return float("nan") if metrics is None else metrics.abs_rel
