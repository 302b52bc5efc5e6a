"""The report of the Eigen protocol: means over images, as a score table and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, mean_depth_metrics
from e2e_slam_ros.evaluation.depth.scores import metric_cells, metric_columns
from e2e_slam_ros.evaluation.eigen.image_score import EigenScore
from e2e_slam_ros.evaluation.report import protocol_page
from e2e_slam_ros.evaluation.score_table import ScoreRow, ScoreTable
from e2e_slam_ros.evaluation.weights import Weights, origin_notes

PROTOCOL = "eigen"


@dataclass(frozen=True)
class EigenReport:
    """Means over images, each image counting alike.

    Attributes:
        data: name of the list.
        asked: number of images in it.
        skipped: reason -> number of images left out.
        truth: "velodyne" or "improved".
        scores: one for each image that was compared.
        machine, weights: of the measurement.

    >>> EigenReport("eigen_test_files", 697, {}, "velodyne", (), "2 cores", None).mean() is None
    True
    """

    data: str
    asked: int
    skipped: dict[str, int]
    truth: str
    scores: tuple[EigenScore, ...]
    machine: str
    weights: Weights | None

    def mean(self) -> DepthMetrics | None:
        """Return the mean metrics."""
        return mean_depth_metrics(score.metrics for score in self.scores)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        mean = self.mean()
        scales = [score.scale for score in self.scores]
        return {
            "protocol": PROTOCOL,
            "data": self.data,
            "truth": self.truth,
            "images": len(self.scores),
            "images_asked": self.asked,
            "left_out": self.skipped,
            **({} if mean is None else dataclasses.asdict(mean)),
            "scale": {"median": statistics.median(scales), "std": statistics.pstdev(scales)},
            "machine": self.machine,
            "weights": None if self.weights is None else dataclasses.asdict(self.weights),
        }

    def table(self) -> ScoreTable:
        """Return one row of the seven metrics."""
        scales = [score.scale for score in self.scores]
        title = f"{self.data}: {len(self.scores):,} of {self.asked:,} images, {self.truth} depth"
        rows = (ScoreRow("median-scaled", metric_cells(self.mean()), strong=True),)
        notes = [
            "Garg's crop, 0.001 to 80 m, each image scaled by its median; mean over images",
            f"median of truth over prediction: {statistics.median(scales):.3f}, "
            f"deviation {statistics.pstdev(scales):.3f}",
            *origin_notes(self.skipped, self.weights, self.machine),
        ]
        return ScoreTable(metric_columns(3), rows, title, notes=tuple(notes))

    def html(self, pictures: Mapping[str, bytes]) -> str:
        """Return a page of the table and the pictures, heading -> PNG file."""
        table = self.table()
        return protocol_page(table.title, {"Scores": table}, pictures)
