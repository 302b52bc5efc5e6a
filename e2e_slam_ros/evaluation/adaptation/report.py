"""The report of the pair and online protocols: means over keyframes, as tables and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e_slam_ros.config import Config
from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics
from e2e_slam_ros.evaluation.depth.scores import (
    DepthScores,
    abs_rel,
    mean_scores,
    metric_cells,
    metric_columns,
)
from e2e_slam_ros.evaluation.report import protocol_page
from e2e_slam_ros.evaluation.score_table import Cell, Column, ScoreRow, ScoreTable, counted
from e2e_slam_ros.evaluation.weights import Weights, origin_notes

_STAGES = ("before", "aligned", "after")
# Set of pixels -> its words in a label.
_SETS = {"every": "", "textured": "textured", "untextured": "untextured"}
_SCALINGS = {"raw": "", "median_scaled": "scaled"}
_KEYFRAME_COLUMNS = (
    Column("frame", "frame"),
    *(
        Column(f"{stage}, scaled" if suffix else stage, f"{stage}{suffix}", ".3f")
        for stage in _STAGES
        for suffix in ("", "_median_scaled")
    ),
    Column("steps", "steps", ".0f"),
    Column("stopped", "stopped", role="remark"),
    Column("refused", "refused", role="remark"),
    Column("seconds", "seconds", ".2f"),
)


@dataclass(frozen=True)
class Forgetting:
    """Scores of the first keyframes once more at the end, without steps; means over images.

    Attributes:
        original: with the weights of the file.
        adapted: with the weights at the end of the sequence.
        keyframes: number of keyframes.

    >>> nothing = DepthScores(None, None)
    >>> Forgetting(nothing, nothing, keyframes=20).keyframes
    20
    """

    original: DepthScores
    adapted: DepthScores
    keyframes: int


@dataclass(frozen=True)
class AdaptationReport:
    """Means over keyframes, each counting alike.

    Attributes:
        protocol: "pair" or "online".
        data: name of the sequence.
        frames: number of frames asked for.
        left_out: reason -> number of frames that are not compared.
        source: name of the source of the depth that is refined.
        config: parameters of the run.
        scores: one for each keyframe.
        forgetting: of an adapted network, online only.
        machine, weights: of the measurement.

    >>> origin = ("pair", "desk", 1, {"no pose": 1}, "network", Config())
    >>> AdaptationReport(*origin, (), None, "2 cores", None).seconds()
    0.0
    """

    protocol: str
    data: str
    frames: int
    left_out: dict[str, int]
    source: str
    config: Config
    scores: tuple[KeyframeScore, ...]
    forgetting: Forgetting | None
    machine: str
    weights: Weights | None

    def stage(self, name: str, pixels: str = "every") -> DepthScores:
        """Return the mean scores of a stage over a set of pixels.

        ``name`` is "before", "aligned", "after" or "geometric"; ``pixels`` is "every",
        "textured" or "untextured".
        """
        stages = [getattr(score, name) for score in self.scores]
        return mean_scores([getattr(stage, pixels) for stage in stages if stage is not None])

    def change(self, median_scaled: bool) -> float:
        """Return the relative change of abs_rel: -0.4 = 40 % lower."""
        before, after = self.stage("before"), self.stage("after")
        if median_scaled:
            return _change(before.median_scaled, after.median_scaled)
        return _change(before.raw, after.raw)

    def refused(self) -> dict[str, int]:
        """Return reason -> number of keyframes that were not refined."""
        return dict(Counter(score.refused for score in self.scores if score.refused))

    def seconds(self) -> float:
        """Return the median time of the keyframes that were refined."""
        times = [score.seconds for score in self.scores if not score.refused]
        return statistics.median(times) if times else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        refine, geometric = self.config.refine, self.stage("geometric")
        return {
            "protocol": self.protocol,
            "data": self.data,
            "source": self.source,
            "strategy": refine.strategy,
            "steps": refine.steps,
            "wait_keyframes": refine.wait_keyframes,
            "scale": refine.scale.source,
            "frames_in_range": self.frames,
            "keyframes": len(self.scores),
            "left_out": self.left_out,
            **self._stages_json("every"),
            "textured": self._stages_json("textured"),
            "untextured": self._stages_json("untextured"),
            "textured_share": sum(s.textured for s in self.scores)
            / max(1, sum(s.pixels for s in self.scores)),
            "covered": sum(s.pixels for s in self.scores)
            / max(1, sum(s.wanted for s in self.scores)),
            "change": {"raw": self.change(False), "median_scaled": self.change(True)},
            "worse_than_5pct": sum(score.worse() for score in self.scores),
            "worse_than_5pct_median_scaled": sum(score.worse(True) for score in self.scores),
            "worse_than_aligned_5pct": sum(score.worse(than="aligned") for score in self.scores),
            "refused": self.refused(),
            "stopped": dict(Counter(score.stopped for score in self.scores)),
            "rolled_back": sum(score.rolled_back for score in self.scores),
            "seconds_per_keyframe": self.seconds(),
            "geometric": None if geometric.raw is None else dataclasses.asdict(geometric),
            "forgetting": None if self.forgetting is None else _forgetting(self.forgetting),
            "per_keyframe": self.keyframe_table().to_json(),
            "machine": self.machine,
            "weights": None if self.weights is None else dataclasses.asdict(self.weights),
        }

    def table(self, digits: int = 3) -> ScoreTable:
        """Return the metrics of every stage, set of pixels and scaling."""
        rows = [
            ScoreRow(
                stage,
                metric_cells(getattr(self.stage(stage, pixels), scaling)),
                ", ".join(words for words in (set_words, scaling_words) if words),
                strong=(stage, pixels, scaling) == ("after", "every", "raw"),
            )
            for stage in _STAGES
            for scaling, scaling_words in _SCALINGS.items()
            for pixels, set_words in _SETS.items()
        ]
        if any(score.geometric is not None for score in self.scores):
            rows += _score_rows("motion stereo", self.stage("geometric"))
        if self.forgetting is not None:
            name = f"first {self.forgetting.keyframes}"
            rows += _score_rows(f"{name}, original", self.forgetting.original)
            rows += _score_rows(f"{name}, adapted", self.forgetting.adapted)
        notes = tuple(self._notes())
        return ScoreTable(metric_columns(digits), tuple(rows), self._title(), notes=notes)

    def keyframe_table(self) -> ScoreTable:
        """Return abs_rel of every keyframe by stage, and the end of its refinement."""
        return ScoreTable(_KEYFRAME_COLUMNS, tuple(_keyframe_row(s) for s in self.scores))

    def html(self, pictures: Mapping[str, bytes]) -> str:
        """Return a page of the tables and the pictures, heading -> PNG file."""
        scores, each = self.table(), self.keyframe_table()
        each = dataclasses.replace(each, rows=(*each.rows, each.mean()))
        return protocol_page(scores.title, {"Scores": scores, "Keyframes": each}, pictures)

    def _notes(self) -> list[str]:
        refine = self.config.refine
        notes = [
            f"{refine.strategy} strategy, {refine.steps} steps at most, scale: "
            f"{refine.scale.source}; mean over keyframes; scaled: by the median of the truth",
            "before: as the original weights say it; aligned: metric and corrected by motion, as "
            "the steps begin with it",
            f"abs_rel {self.change(False):+.0%} raw, {self.change(True):+.0%} median-scaled; "
            f"worse by more than 5 %: {sum(s.worse() for s in self.scores)} raw, "
            f"{sum(s.worse(True) for s in self.scores)} median-scaled, "
            f"{sum(s.worse(than='aligned') for s in self.scores)} raw by the steps alone",
            f"{self.seconds() * 1e3:.0f} ms a refined keyframe (median); "
            f"rolled back: {sum(s.rolled_back for s in self.scores)}",
        ]
        if self.refused():
            notes.append("not refined: " + ", ".join(counted(self.refused())))
        return notes + origin_notes(self.left_out, self.weights, self.machine)

    def _title(self) -> str:
        return (
            f"{self.protocol}, {self.data}: {len(self.scores):,} keyframes of "
            f"{self.frames:,} frames"
        )

    def _stages_json(self, pixels: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in _STAGES:
            scores = self.stage(name, pixels)
            found[name] = _metrics_json(scores.raw)
            found[f"{name}_median_scaled"] = _metrics_json(scores.median_scaled)
        return found


def _change(before: DepthMetrics | None, after: DepthMetrics | None) -> float:
    if before is None or after is None or before.abs_rel == 0.0:
        return 0.0
    return after.abs_rel / before.abs_rel - 1.0


def _score_rows(label: str, scores: DepthScores) -> list[ScoreRow]:
    return [
        ScoreRow(label, metric_cells(scores.raw)),
        ScoreRow(label, metric_cells(scores.median_scaled), "scaled"),
    ]


def _keyframe_row(score: KeyframeScore) -> ScoreRow:
    errors: list[Cell] = []
    for stage in (score.before, score.aligned, score.after):
        errors += [abs_rel(stage.every.raw), abs_rel(stage.every.median_scaled)]
    end = (score.steps, score.stopped, score.refused, score.seconds)
    return ScoreRow("", (score.frame, *errors, *end))


def _metrics_json(metrics: DepthMetrics | None) -> dict[str, Any] | None:
    return None if metrics is None else dataclasses.asdict(metrics)


def _forgetting(forgetting: Forgetting) -> dict[str, Any]:
    found: dict[str, Any] = {"keyframes": forgetting.keyframes}
    for scaling, suffix in (("raw", ""), ("median_scaled", "_median_scaled")):
        for name in ("original", "adapted"):
            found[f"{name}{suffix}"] = _metrics_json(getattr(getattr(forgetting, name), scaling))
    return found
