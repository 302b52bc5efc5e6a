"""What the depth protocol found, averaged over images: as JSON and as a table."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, mean_depth_metrics
from e2e_slam_ros.evaluation.depth.protocol import FrameScore, Scores
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification, mean_sparsification
from e2e_slam_ros.evaluation.run.tables import UNKNOWN, counted
from e2e_slam_ros.evaluation.weights import Weights

PROTOCOL = "depth"


@dataclass(frozen=True)
class DepthReport:
    """Means over images, each image counting alike (Eigen et al. 2014).

    Attributes:
        data, asked, skipped: the sequence, how many frames it had, and reason -> frames left out.
        source: `depth.source`.
        scores: one per frame that was compared.
        machine, weights: what it was measured with.
    """

    data: str
    asked: int
    skipped: dict[str, int]
    source: str
    scores: tuple[FrameScore, ...]
    machine: str
    weights: Weights | None

    def every(self) -> Scores:
        """Return the metrics over all pixels with truth."""
        return _mean([score.every for score in self.scores])

    def textured(self) -> Scores:
        """Return them over textured pixels."""
        return _mean([score.textured for score in self.scores])

    def untextured(self) -> Scores:
        """Return them over the others."""
        return _mean([score.untextured for score in self.scores])

    def baselines(self) -> dict[str, Scores]:
        """Return name -> metrics of each baseline."""
        names = self.scores[0].baselines
        return {name: _mean([score.baselines[name] for score in self.scores]) for name in names}

    def curves(self) -> Sparsification | None:
        """Return the mean sparsification curves, where the network tells its uncertainty."""
        return mean_sparsification([s.curves for s in self.scores if s.curves is not None])

    def covered(self) -> float:
        """Return the share of true depths that got a prediction."""
        return _pixels(self.scores, lambda score: score.every) / sum(s.pixels for s in self.scores)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        every, scales = _json(self.every()), [score.scale for score in self.scores]
        textured = _pixels(self.scores, lambda score: score.textured)
        return {
            "protocol": PROTOCOL,
            "data": self.data,
            "source": self.source,
            "frames": len(self.scores),
            "frames_in_range": self.asked,
            "left_out": self.skipped,
            **every,
            "covered": self.covered(),
            "scale": {"median": statistics.median(scales), "std": statistics.pstdev(scales)},
            "textured_share": textured / max(1, _pixels(self.scores, lambda score: score.every)),
            "textured": _json(self.textured()),
            "untextured": _json(self.untextured()),
            "baselines": {name: _json(scores) for name, scores in self.baselines().items()},
            "uncertainty": _curves_json(self.curves()),
            "machine": self.machine,
            "weights": None if self.weights is None else dataclasses.asdict(self.weights),
        }


def print_report(report: DepthReport, console: Console) -> None:
    """Print the metrics beside the baselines', and what to know about them."""
    title = f"{report.data}: {len(report.scores):,} of {report.asked:,} frames"
    table = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("abs_rel", "sq_rel", "RMSE", "log", "δ<1.25", "δ<1.25²", "δ<1.25³"):
        table.add_column(name, justify="right", no_wrap=True)
    every = report.every()
    rows = [
        (f"{report.source}, raw", every.raw),
        (f"{report.source}, scaled", every.median_scaled),
        ("  textured pixels", report.textured().median_scaled),
        ("  untextured pixels", report.untextured().median_scaled),
        *((name, scores.median_scaled) for name, scores in report.baselines().items()),
    ]
    for label, metrics in rows:
        style = "bold" if metrics is every.median_scaled else None
        table.add_row(escape(label), *_cells(metrics), style=style)
    console.print(table)
    console.print()
    for note in _notes(report):
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)


def _notes(report: DepthReport) -> list[str]:
    scale = report.to_json()["scale"]
    notes = [
        f"{report.covered():.1%} of the true depths have a prediction; mean over images; "
        "all but the first line are median-scaled",
        f"median of truth over prediction: {scale['median']:.3f}, deviation {scale['std']:.3f}",
    ]
    curves = report.curves()
    if curves is not None:
        area = curves.random_area
        notes.append(f"uncertainty: AUSE {curves.ause:.4f} (perfect 0, at random {area:.4f})")
    if report.skipped:
        notes.append("left out: " + ", ".join(counted(report.skipped)))
    if report.weights is not None:
        notes.append(f"{report.weights.architecture}, sha256 {report.weights.sha256[:16]}")
    notes.append(report.machine)
    return notes


def _mean(each: Sequence[Scores]) -> Scores:
    return Scores(
        mean_depth_metrics(scores.raw for scores in each),
        mean_depth_metrics(scores.median_scaled for scores in each),
    )


def _pixels(scores: Sequence[FrameScore], part: Callable[[FrameScore], Scores]) -> int:
    each = [part(score).raw for score in scores]
    return sum(metrics.pixels for metrics in each if metrics is not None)


def _cells(metrics: DepthMetrics | None) -> list[str]:
    if metrics is None:
        return [UNKNOWN] * 7
    m = metrics
    values = (m.abs_rel, m.sq_rel, m.rmse, m.rmse_log, m.delta_1, m.delta_2, m.delta_3)
    return [f"{value:.3f}" for value in values]


def _json(scores: Scores) -> dict[str, Any]:
    return dataclasses.asdict(scores)


def _curves_json(curves: Sparsification | None) -> dict[str, Any] | None:
    if curves is None:
        return None
    return {
        "error": "median-scaled abs_rel",
        "ause": curves.ause,
        "random_area": curves.random_area,
        **dataclasses.asdict(curves),
    }
