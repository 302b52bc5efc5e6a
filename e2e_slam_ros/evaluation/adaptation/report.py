"""What the pair and online protocols found, averaged over keyframes."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2e_slam_ros.config import Config
from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore, Stage, abs_rel
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, mean_depth_metrics
from e2e_slam_ros.evaluation.depth.protocol import Scores
from e2e_slam_ros.evaluation.run.tables import counted
from e2e_slam_ros.evaluation.weights import Weights

_STAGES = ("before", "aligned", "after")
_SETS = {"every": "", "textured": "textured", "untextured": "untextured"}


@dataclass(frozen=True)
class Forgetting:
    """The first keyframes once more at the end, means over images.

    Attributes:
        original: with the weights of the file.
        adapted: with the weights as the sequence left them, no steps.
        keyframes: how many were asked again.
    """

    original: Scores
    adapted: Scores
    keyframes: int


@dataclass(frozen=True)
class Row:
    """One line of the tables: which depth, on which pixels and how scaled, and its metrics."""

    name: str
    part: str
    metrics: DepthMetrics | None


@dataclass(frozen=True)
class AdaptationReport:
    """Means over keyframes, each counting alike.

    Attributes:
        protocol: "pair" or "online".
        data, frames: the sequence and how many frames of it were asked for.
        left_out: reason -> frames that are not compared.
        source: of the depth that is refined.
        config: what was run.
        scores: one for each keyframe.
        forgetting: online with an adapted network only.
        machine, weights: what it was measured with.
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

    def stage(self, name: str, pixels: str = "every") -> Scores:
        """Return the metrics of "before", "aligned", "after" or "geometric" on a set of pixels."""
        stages: list[Stage | None] = [getattr(score, name) for score in self.scores]
        return mean_scores([getattr(stage, pixels) for stage in stages if stage is not None])

    def change(self, median_scaled: bool) -> float:
        """Return how much abs_rel changed, relative: -0.4 = 40 % lower."""
        before, after = self.stage("before"), self.stage("after")
        if median_scaled:
            return _change(before.median_scaled, after.median_scaled)
        return _change(before.raw, after.raw)

    def refused(self) -> dict[str, int]:
        """Return reason -> keyframes that were not refined."""
        return dict(Counter(score.refused for score in self.scores if score.refused))

    def seconds(self) -> float:
        """Return the median time of the keyframes that were refined."""
        times = [score.seconds for score in self.scores if not score.refused]
        return statistics.median(times) if times else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        refine = self.config.refine
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
            "geometric": _scores_json(self.stage("geometric")),
            "forgetting": self._forgetting_json(),
            "per_keyframe": [_keyframe_json(score) for score in self.scores],
            "machine": self.machine,
            "weights": None if self.weights is None else dataclasses.asdict(self.weights),
        }

    def rows(self) -> list[Row]:
        """Return every line of the tables."""
        rows = []
        for name in _STAGES:
            for pixels, words in _SETS.items():
                rows.append(Row(name, words, self.stage(name, pixels).raw))
            for pixels, words in _SETS.items():
                scaled = self.stage(name, pixels).median_scaled
                rows.append(Row(name, f"{words}, scaled".strip(", "), scaled))
        if any(score.geometric is not None for score in self.scores):
            geometric = self.stage("geometric")
            rows.append(Row("motion stereo", "", geometric.raw))
            rows.append(Row("motion stereo", "scaled", geometric.median_scaled))
        if self.forgetting is not None:
            for words, scores in (
                ("original", self.forgetting.original),
                ("adapted", self.forgetting.adapted),
            ):
                name = f"first {self.forgetting.keyframes}, {words}"
                rows.append(Row(name, "", scores.raw))
                rows.append(Row(name, "scaled", scores.median_scaled))
        return rows

    def notes(self) -> list[str]:
        """Return what else there is to know, a sentence each."""
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
        if self.left_out:
            notes.append("left out: " + ", ".join(counted(self.left_out)))
        if self.weights is not None:
            notes.append(f"{self.weights.architecture}, sha256 {self.weights.sha256[:16]}")
        return [*notes, self.machine]

    def title(self) -> str:
        """Return protocol, sequence and counts."""
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

    def _forgetting_json(self) -> dict[str, Any] | None:
        if self.forgetting is None:
            return None
        original, adapted = self.forgetting.original, self.forgetting.adapted
        return {
            "keyframes": self.forgetting.keyframes,
            "original": _metrics_json(original.raw),
            "adapted": _metrics_json(adapted.raw),
            "original_median_scaled": _metrics_json(original.median_scaled),
            "adapted_median_scaled": _metrics_json(adapted.median_scaled),
        }


def mean_scores(each: Sequence[Scores]) -> Scores:
    """Return the mean over images, each counting alike."""
    return Scores(
        mean_depth_metrics(scores.raw for scores in each),
        mean_depth_metrics(scores.median_scaled for scores in each),
    )


def _change(before: DepthMetrics | None, after: DepthMetrics | None) -> float:
    if before is None or after is None or before.abs_rel == 0.0:
        return 0.0
    return after.abs_rel / before.abs_rel - 1.0


def _metrics_json(metrics: DepthMetrics | None) -> dict[str, Any] | None:
    return None if metrics is None else dataclasses.asdict(metrics)


def _scores_json(scores: Scores) -> dict[str, Any] | None:
    if scores.raw is None:
        return None
    return {
        "raw": _metrics_json(scores.raw),
        "median_scaled": _metrics_json(scores.median_scaled),
    }


def _keyframe_json(score: KeyframeScore) -> dict[str, Any]:
    found: dict[str, Any] = {"frame": score.frame}
    for name in _STAGES:
        every: Scores = getattr(score, name).every
        found[name] = abs_rel(every.raw)
        found[f"{name}_median_scaled"] = abs_rel(every.median_scaled)
    return found | {
        "steps": score.steps,
        "stopped": score.stopped,
        "refused": score.refused,
        "seconds": score.seconds,
    }
