"""The report of the depth protocol: means over images, as a score table and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e_slam_ros.evaluation.depth.protocol import FrameScore
from e2e_slam_ros.evaluation.depth.scores import (
    DepthScores,
    mean_scores,
    metric_cells,
    metric_columns,
)
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification, mean_sparsification
from e2e_slam_ros.evaluation.report import protocol_page
from e2e_slam_ros.evaluation.score_table import ScoreRow, ScoreTable
from e2e_slam_ros.evaluation.weights import Weights, origin_notes

PROTOCOL = "depth"


@dataclass(frozen=True)
class DepthReport:
    """Means over images, each image counting alike (Eigen et al. 2014).

    Attributes:
        data: name of the sequence.
        asked: number of frames it had.
        skipped: reason -> number of frames left out.
        source: name of the depth source.
        scores: one for each frame that was compared.
        machine, weights: of the measurement.

    >>> DepthReport("desk", 3, {"no pose": 3}, "network", (), "2 cores", None).curves() is None
    True
    """

    data: str
    asked: int
    skipped: dict[str, int]
    source: str
    scores: tuple[FrameScore, ...]
    machine: str
    weights: Weights | None

    def mean(self, pixels: str = "every") -> DepthScores:
        """Return the mean scores over "every", "textured" or "untextured" pixels."""
        return mean_scores([getattr(score.depth, pixels) for score in self.scores])

    def baselines(self) -> dict[str, DepthScores]:
        """Return name -> mean scores of each baseline."""
        names = self.scores[0].baselines
        return {
            name: mean_scores([score.baselines[name] for score in self.scores]) for name in names
        }

    def curves(self) -> Sparsification | None:
        """Return the mean sparsification curves; None without predicted uncertainty."""
        return mean_sparsification([s.curves for s in self.scores if s.curves is not None])

    def covered(self) -> float:
        """Return the share of true depths with a prediction."""
        return _pixels(self.mean()) / sum(score.pixels for score in self.scores)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        every, textured = self.mean(), self.mean("textured")
        scales, curves = [score.scale for score in self.scores], self.curves()
        return {
            "protocol": PROTOCOL,
            "data": self.data,
            "source": self.source,
            "frames": len(self.scores),
            "frames_in_range": self.asked,
            "left_out": self.skipped,
            **dataclasses.asdict(every),
            "covered": self.covered(),
            "scale": {"median": statistics.median(scales), "std": statistics.pstdev(scales)},
            "textured_share": _pixels(textured) / max(1, _pixels(every)),
            "textured": dataclasses.asdict(textured),
            "untextured": dataclasses.asdict(self.mean("untextured")),
            "baselines": {
                name: dataclasses.asdict(scores) for name, scores in self.baselines().items()
            },
            "uncertainty": None if curves is None else _curves_json(curves),
            "machine": self.machine,
            "weights": None if self.weights is None else dataclasses.asdict(self.weights),
        }

    def table(self) -> ScoreTable:
        """Return the metrics beside those of the baselines."""
        every = self.mean()
        textured, untextured = self.mean("textured"), self.mean("untextured")
        rows = [
            ScoreRow(f"{self.source}, raw", metric_cells(every.raw)),
            ScoreRow(f"{self.source}, scaled", metric_cells(every.median_scaled), strong=True),
            ScoreRow("", metric_cells(textured.median_scaled), "textured pixels"),
            ScoreRow("", metric_cells(untextured.median_scaled), "untextured pixels"),
            *(
                ScoreRow(name, metric_cells(scores.median_scaled))
                for name, scores in self.baselines().items()
            ),
        ]
        title = f"{self.data}: {len(self.scores):,} of {self.asked:,} frames"
        return ScoreTable(metric_columns(3), tuple(rows), title, notes=tuple(self._notes()))

    def html(self, pictures: Mapping[str, bytes]) -> str:
        """Return a page of the table and the pictures, heading -> PNG file."""
        table = self.table()
        return protocol_page(table.title, {"Scores": table}, pictures)

    def _notes(self) -> list[str]:
        scales, curves = [score.scale for score in self.scores], self.curves()
        notes = [
            f"{self.covered():.1%} of the true depths have a prediction; mean over images; "
            "all but the first line are median-scaled",
            f"median of truth over prediction: {statistics.median(scales):.3f}, "
            f"deviation {statistics.pstdev(scales):.3f}",
        ]
        if curves is not None:
            area = curves.random_area
            notes.append(f"uncertainty: AUSE {curves.ause:.4f} (perfect 0, at random {area:.4f})")
        return notes + origin_notes(self.skipped, self.weights, self.machine)


def _pixels(scores: DepthScores) -> int:
    return 0 if scores.raw is None else scores.raw.pixels


def _curves_json(curves: Sparsification) -> dict[str, Any]:
    return {
        "error": "median-scaled abs_rel",
        "ause": curves.ause,
        "random_area": curves.random_area,
        **dataclasses.asdict(curves),
    }
